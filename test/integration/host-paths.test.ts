import { execFile } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { cri } from '../../src/proto';
import type { TestDaemon } from './support/daemon';
import { engineGet, sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerStatus,
  createContainer,
  FOREVER,
  freshConfig,
  output,
  startedContainer,
  startPodTest,
} from './support/pods';

const run = promisify(execFile);

describe('a mount whose source does not exist', () => {
  let test: TestDaemon;
  let pod: string;
  /** A directory of this node, in which the tests make and miss the sources. */
  let node: string;
  const umask = process.umask(0o077);
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
    node = await mkdtemp(join(tmpdir(), 'dockbridge-node-'));
    await chmod(node, 0o755);
  });
  afterAll(async () => {
    process.umask(umask);
    await test.stop();
    await rm(node, { recursive: true });
  });

  const config = (...paths: string[]): cri.IContainerConfig =>
    freshConfig(FOREVER, {
      mounts: paths.map((host_path, index) => ({ host_path, container_path: `/m${index}` })),
    });
  const at = (path: string): string => join(node, path);
  const modeOf = async (path: string): Promise<object> => {
    const { mode, uid, gid } = await stat(path);
    return { mode: (mode & 0o7777).toString(8), uid, gid };
  };
  const PLAIN = { mode: '755', uid: 0, gid: 0 };

  it('gets a directory as its source, with all parents, mode 0755 and the owner root, whatever the umask', async () => {
    const id = await startedContainer(test, pod, config(at('lib/calico/data')));
    for (const path of ['lib', 'lib/calico', 'lib/calico/data'])
      expect(await modeOf(at(path))).toEqual(PLAIN);
    await output(test, id, 'echo written >/m0/file');
    expect(await readFile(at('lib/calico/data/file'), 'utf8')).toBe('written\n');
    expect((await containerStatus(test, id)).mounts).toMatchObject([{ host_path: at('lib/calico/data') }]);
  });

  it('leaves existing files unchanged', async () => {
    await mkdir(at('there'));
    await chmod(at('there'), 0o700);
    await writeFile(at('file'), 'kept');
    await startedContainer(test, pod, config(at('there'), at('there/new'), at('file')));
    expect(await modeOf(at('there'))).toEqual({ ...PLAIN, mode: '700' });
    expect(await modeOf(at('there/new'))).toEqual(PLAIN);
    expect(await readFile(at('file'), 'utf8')).toBe('kept');
  });

  it('gets its source created once for several simultaneous containers', async () => {
    const paths = [at('shared/a'), at('shared/a/b'), at('shared/c')];
    await Promise.all([1, 2, 3].map(() => startedContainer(test, pod, config(...paths))));
    expect((await readdir(at('shared'))).sort()).toEqual(['a', 'c']);
  });

  it('gets its source created where a symlink to a directory leads', async () => {
    await mkdir(at('real'));
    await symlink('real', at('link'));
    await startedContainer(test, pod, config(at('link/below')));
    expect(await modeOf(at('real/below'))).toEqual(PLAIN);
  });

  const refusals: {
    name: string;
    prepare: () => Promise<unknown>;
    path: string;
    why: RegExp;
  }[] = [
    {
      name: 'a symlink that leads nowhere',
      prepare: () => symlink(at('absent'), at('dangling')),
      path: 'dangling',
      why: /the symlink \/.*\/dangling leads nowhere/,
    },
    {
      name: 'a path below such a symlink',
      prepare: () => symlink(at('absent'), at('dangling2')),
      path: 'dangling2/below/it',
      why: /the symlink \/.*\/dangling2 leads nowhere/,
    },
    {
      name: 'a symlink to itself',
      prepare: () => symlink('circle', at('circle')),
      path: 'circle/below',
      why: /leads in a circle/,
    },
    {
      name: 'a path below a file',
      prepare: () => writeFile(at('plain'), ''),
      path: 'plain/below/it',
      why: /\/plain is not a directory/,
    },
    {
      name: 'a path on a read-only file system',
      prepare: async () => {
        await mkdir(at('read-only'));
        await run('mount', ['-t', 'tmpfs', '-o', 'ro', 'dockbridge-test', at('read-only')]);
        await run('mount', ['--make-shared', at('read-only')]);
      },
      path: 'read-only/below',
      why: /read-only/,
    },
  ];
  it.each(refusals)(
    'is refused with its field and path if the path is $name, and nothing is created',
    async (row) => {
      await row.prepare();
      try {
        const refused = config(at('.'), at(row.path));
        const field = `^config\\.mounts\\[1\\]\\.host_path: "${at(row.path)}" does not exist on this node and `;
        await expectFailure(
          createContainer(test, pod, refused),
          'FAILED_PRECONDITION',
          new RegExp(`${field}.*${row.why.source}`),
        );
        await expect(lstat(at('absent'))).rejects.toThrow('ENOENT');
        const filters = encodeURIComponent(JSON.stringify({ name: [`k8s_${refused.metadata!.name!}_`] }));
        expect(await engineGet(sharedDockerHost(), `/containers/json?all=1&filters=${filters}`)).toEqual([]);
      } finally {
        if (row.path.startsWith('read-only')) await run('umount', [at('read-only')]);
      }
    },
  );
});
