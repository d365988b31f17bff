import { silentLogger } from '../../../../src/lib/logger';
import { Probes, ImageAccounts } from '../../../../src/server/container/probes';
import { fakeDocker } from '../../../fakes/fake-docker';

const { signal } = new AbortController();
const FILES: Readonly<Record<string, string | undefined>> = {
  '/etc/passwd': 'app:x:5:6::/:/bin/sh\n',
  '/etc/group': 'web:x:7:app\n',
};

function accounts(files: typeof FILES) {
  const read: string[] = [];
  const docker = fakeDocker({
    createContainer: (_, { Image }) => Promise.resolve(`probe of ${Image}`),
    readFile: (id, path) => {
      read.push(`${id} ${path}`);
      return Promise.resolve(files[path]);
    },
    removeContainer: () => Promise.resolve(),
  });
  return { read, all: new ImageAccounts(docker, new Probes({ docker, logger: silentLogger })) };
}

describe('the accounts of an image', () => {
  it('are those of its /etc/passwd and its /etc/group', async () => {
    const { read, all } = accounts(FILES);
    expect(await all.of('sha256:a', signal)).toEqual({
      users: [{ name: 'app', uid: 5, gid: 6 }],
      groups: [expect.objectContaining({ name: 'web', gid: 7 })],
    });
    expect(read).toEqual(['probe of sha256:a /etc/passwd', 'probe of sha256:a /etc/group']);
  });

  it.each(Object.keys(FILES))('are only those of the other file without %s', async (missing) => {
    const { all } = accounts({ ...FILES, [missing]: undefined });
    const { users, groups } = await all.of('sha256:a', signal);
    expect([users.length, groups.length]).toEqual(missing === '/etc/passwd' ? [0, 1] : [1, 0]);
  });

  it('are remembered for the last five hundred images', async () => {
    const { read, all } = accounts(FILES);
    for (let count = 0; count <= 500; count++) await all.of(`sha256:${count}`, signal);
    read.length = 0;
    await all.of('sha256:1', signal);
    await all.of('sha256:500', signal);
    expect(read).toEqual([]);
    await all.of('sha256:0', signal);
    expect(read).toHaveLength(2);
  });
});
