import type { DockerClient } from '../../../src/docker/client';
import { silentLogger } from '../../../src/lib/logger';
import { ImageAccounts } from '../../../src/server/image/image-accounts';
import { fakeDocker } from '../../fakes/fake-docker';

const never = new AbortController().signal;

interface Probes {
  readonly docker: DockerClient;
  readonly removed: string[];
  created: number;
}

function probes(methods: Partial<DockerClient> = {}): Probes {
  const all: Probes = {
    removed: [],
    created: 0,
    docker: fakeDocker({
      listContainers: () => Promise.resolve([]),
      createContainer: () => Promise.resolve(`p${++all.created}`),
      readFile: (_, path) => Promise.resolve(path === '/etc/passwd' ? 'root:x:0:0' : undefined),
      removeContainer: (id) => Promise.resolve(void all.removed.push(id)),
      ...methods,
    }),
  };
  return all;
}

describe('ImageAccounts', () => {
  it('looks into an image once, however many ask, and clears the probe away', async () => {
    const engine = probes();
    const accounts = new ImageAccounts({ docker: engine.docker, logger: silentLogger });
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
    const accounts = new ImageAccounts({ docker: engine.docker, logger: silentLogger });
    await expect(accounts.of('sha256:a', never)).rejects.toThrow('torn');
    expect(await accounts.of('sha256:a', never)).toEqual({ users: [], groups: [] });
    expect(engine.removed).toEqual(['p1', 'p2']);
  });

  it('goes on for others when one caller gives up', async () => {
    const engine = probes();
    const accounts = new ImageAccounts({ docker: engine.docker, logger: silentLogger });
    const gone = new AbortController();
    const givesUp = accounts.of('sha256:a', gone.signal);
    const waits = accounts.of('sha256:a', never);
    gone.abort(new Error('cancelled'));
    await expect(givesUp).rejects.toThrow('cancelled');
    expect((await waits).users).toHaveLength(1);
    expect(engine.created).toBe(1);
  });

  it('removes what a killed daemon left, but no probe that may be another daemon’s at work', async () => {
    const now = Date.now() / 1000;
    const probe = (Id: string, age: number) => ({
      Id,
      Created: now - age,
      Names: [],
      ImageID: '',
      Image: '',
      State: '',
    });
    const engine = probes({ listContainers: () => Promise.resolve([probe('old', 3600), probe('new', 1)]) });
    await new ImageAccounts({ docker: engine.docker, logger: silentLogger }).of('sha256:a', never);
    expect(engine.removed).toEqual(['old', 'p1']);
  });
});
