import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { carryWithSkopeo, hasSkopeo, skopeoCommand } from '../../../../src/migrate/images/skopeo';

const IMAGE = { id: 'sha256:1', tags: ['a.test/app:1', 'a.test/app:2'], digests: [], size: 1, why: '' };
const ENGINE = 'unix:///var/run/docker.sock';

describe('skopeo', () => {
  let directory: string;
  let program: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dockbridge-skopeo-'));
    program = join(directory, 'skopeo');
    await writeFile(program, `#!/bin/sh\necho "$@" >>${directory}/calls\n`);
    await chmod(program, 0o755);
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('copies the names that CRI-O does not have, and verifies each', async () => {
    const verified: string[] = [];
    const target = {
      criImage: (name: string) => Promise.resolve(name.endsWith(':1') ? 'sha256:1' : undefined),
      verify: (name: string, id: string) => Promise.resolve(void verified.push(`${name} ${id}`)),
    };
    await carryWithSkopeo(IMAGE, ENGINE, target, new AbortController().signal, program);
    expect(await readFile(join(directory, 'calls'), 'utf8')).toBe(
      `copy --src-daemon-host ${ENGINE} docker-daemon:a.test/app:2 containers-storage:a.test/app:2\n`,
    );
    expect(verified).toEqual(['a.test/app:2 sha256:1']);
  });

  it('knows whether it is installed', async () => {
    expect(await hasSkopeo(program)).toBe(true);
    expect(await hasSkopeo(join(directory, 'missing'))).toBe(false);
  });

  it('is a command for a person, too', () => {
    expect(skopeoCommand(ENGINE, 'a:1')).toBe(
      `skopeo copy --src-daemon-host ${ENGINE} docker-daemon:a:1 containers-storage:a:1`,
    );
  });
});
