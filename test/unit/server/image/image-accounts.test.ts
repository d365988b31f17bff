import type { DockerClient } from '../../../../src/docker/client';
import { silentLogger } from '../../../../src/lib/logger';
import { Probes } from '../../../../src/server/container/probes';
import { ImageAccounts } from '../../../../src/server/image/image-accounts';
import { fakeDocker } from '../../../fakes/fake-docker';

const never = new AbortController().signal;

interface ProbeEngine {
  readonly docker: DockerClient;
  readonly removed: string[];
  created: number;
}

function probes(methods: Partial<DockerClient> = {}): ProbeEngine {
  const all: ProbeEngine = {
    removed: [],
    created: 0,
    docker: fakeDocker({
      createContainer: () => Promise.resolve(`p${++all.created}`),
      readFile: (_, path) => Promise.resolve(path === '/etc/passwd' ? 'root:x:0:0' : undefined),
      removeContainer: (id) => Promise.resolve(void all.removed.push(id)),
      ...methods,
    }),
  };
  return all;
}

const accountsOf = (docker: DockerClient): ImageAccounts =>
  new ImageAccounts(docker, new Probes({ docker, logger: silentLogger }));

describe('ImageAccounts', () => {
  it('looks into an image once, however many ask, and clears the probe away', async () => {
    const engine = probes();
    const accounts = accountsOf(engine.docker);
    const found = await Promise.all([1, 2, 3].map(() => accounts.of('sha256:a', never)));
    expect(found[0]).toEqual({ users: [{ name: 'root', uid: 0, gid: 0 }], groups: [] });
    await accounts.of('sha256:b', never);
    await accounts.of('sha256:a', never);
    expect(engine.created).toBe(2);
    expect(engine.removed).toEqual(['p1', 'p2']);
  });

  it('tries again after a failure, which leaves no probe either', async () => {
    let failures = 1;
    const engine = probes({
      readFile: () => (failures-- > 0 ? Promise.reject(new Error('torn')) : Promise.resolve('')),
    });
    const accounts = accountsOf(engine.docker);
    await expect(accounts.of('sha256:a', never)).rejects.toThrow('torn');
    expect(await accounts.of('sha256:a', never)).toEqual({ users: [], groups: [] });
    expect(engine.removed).toEqual(['p1', 'p2']);
  });

  it('goes on for others when one caller gives up', async () => {
    const engine = probes();
    const accounts = accountsOf(engine.docker);
    const gone = new AbortController();
    const givesUp = accounts.of('sha256:a', gone.signal);
    const waits = accounts.of('sha256:a', never);
    gone.abort(new Error('cancelled'));
    await expect(givesUp).rejects.toThrow('cancelled');
    expect((await waits).users).toHaveLength(1);
    expect(engine.created).toBe(1);
  });
});
