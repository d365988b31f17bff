import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DOCKBRIDGE_VERSION } from '../../../src/release';

const UNITS = join(__dirname, '../../../packaging/systemd');

/** Writes a tree in the layout of tree.sh, with few and small files. package.test.ts checks the real contents. */
export async function layOut(tree: string): Promise<void> {
  const file = async (path: string, text: string, mode = 0o644): Promise<void> => {
    await mkdir(join(tree, dirname(path)), { recursive: true });
    await writeFile(join(tree, path), text);
    await chmod(join(tree, path), mode);
  };
  await file('usr/bin/dockbridge', '#!/bin/sh\n', 0o755);
  await file('usr/lib/dockbridge/node', `#!/bin/sh\necho ${DOCKBRIDGE_VERSION}\n`, 0o755);
  await file('usr/lib/dockbridge/main.js', '');
  await file('usr/lib/dockbridge/pause/pause.tar', '');
  await file('usr/share/doc/dockbridge/README.md.gz', '');
  await file('usr/lib/dockbridge/tape/worker-entry.js', '');
  await file('usr/share/doc/dockbridge/examples/monitoring/rules.yaml', '');
  await file('usr/share/zsh/vendor-completions/_dockbridge', '');
  await file('etc/default/dockbridge', '# settings\n');
  await file('etc/dockbridge/config.yaml', '#log-level: info\n');
  await mkdir(join(tree, 'etc/dockbridge/config.d'), { recursive: true });
  for (const name of ['dockbridge.service', 'dockbridge.socket'])
    await file(`lib/systemd/system/${name}`, await readFile(join(UNITS, name), 'utf8'));
}
