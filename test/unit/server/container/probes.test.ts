import type { DockerClient } from '../../../../src/docker/client';
import type { EngineContainerCreate } from '../../../../src/engine/types';
import { unavailable } from '../../../../src/lib/errors';
import { silentLogger } from '../../../../src/lib/logger';
import { ImageAccounts, Probes } from '../../../../src/server/container/probes';
import { fakeDocker } from '../../../fakes/fake-docker';

function room(removeContainer: DockerClient['removeContainer'] = () => Promise.resolve()) {
  const created: EngineContainerCreate[] = [];
  const removed: string[] = [];
  const warn = jest.fn();
  const docker = fakeDocker({
    createContainer: (_name, body) => Promise.resolve(`p${created.push(body)}`),
    removeContainer: (id) => {
      removed.push(id);
      return removeContainer(id);
    },
  });
  return { created, removed, warn, probes: new Probes({ docker, logger: { ...silentLogger, warn } }) };
}

describe('Probes', () => {
  it('are removed after the read, whatever its result', async () => {
    const { probes, created, removed } = room();
    expect(await probes.with({ Image: 'a' }, (id) => Promise.resolve(`saw ${id}`))).toBe('saw p1');
    await expect(probes.with({ Image: 'a' }, () => Promise.reject(new Error('torn')))).rejects.toThrow(
      'torn',
    );
    expect(created).toHaveLength(2);
    expect(removed).toEqual(['p1', 'p2']);
  });

  it('have the given mounts, and no properties of a pod', async () => {
    const { probes, created } = room();
    const Mounts = [{ Type: 'image', Source: 'b', Target: '/b' }] as const;
    await probes.with({ Image: 'a', HostConfig: { Mounts: [...Mounts] } }, () => Promise.resolve());
    expect(created[0]).toMatchObject({
      Image: 'a',
      HostConfig: { NetworkMode: 'none', Mounts },
      Labels: { 'io.kubernetes.docker.type': 'probe' },
    });
  });

  it('return an answer even if they cannot be removed, with a log line', async () => {
    const { probes, warn } = room(() => Promise.reject(new Error('busy')));
    expect(await probes.with({ Image: 'a' }, () => Promise.resolve('seen'))).toBe('seen');
    expect(warn).toHaveBeenCalledWith(expect.any(String), { container: 'p1', error: 'busy' });
  });

  it('that a killed daemon left are removed, however young they are, and nothing else is', async () => {
    const left = {
      Id: 'left',
      Names: ['/dockbridge-probe-0123456789ab'],
      State: 'created',
      Created: Date.now() / 1000,
      ImageID: '',
      Image: '',
      Labels: { 'io.dockbridge.probe': 'another' },
    };
    const { probes, removed } = room();
    await probes.removeLeftovers([
      left,
      { ...left, Id: 'half removed', State: 'dead' },
      { ...left, Id: 'no label', Labels: {} },
      { ...left, Id: 'runs', State: 'running' },
      { ...left, Id: 'an image with our label', Names: ['/k8s_app'] },
    ]);
    expect(removed).toEqual(['left', 'half removed']);
  });

  it('of a create call whose answer was lost are removed after the next list, unless they are in use', async () => {
    const names: string[] = [];
    const removed: string[] = [];
    let owner = '';
    const docker = fakeDocker({
      createContainer: (name, body) => {
        owner = body.Labels['io.dockbridge.probe'] ?? '';
        return names.push(name) === 1 ? Promise.reject(unavailable('torn')) : Promise.resolve('second');
      },
      removeContainer: (id) => Promise.resolve(void removed.push(id)),
    });
    const probes = new Probes({ docker, logger: silentLogger });
    await expect(probes.with({ Image: 'a' }, () => Promise.resolve())).rejects.toThrow('torn');
    await probes.with({ Image: 'a' }, async () => {
      const listed = names.map((name) => ({
        Id: name,
        Names: [`/${name}`],
        State: 'created',
        Created: 1,
        ImageID: '',
        Image: '',
        Labels: { 'io.dockbridge.probe': owner },
      }));
      await probes.removeLeftovers(listed);
    });
    expect(removed).toEqual([names[0], 'second']);
  });
});

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
  it('reads an image once for all callers, and removes the probe', async () => {
    const engine = probes();
    const accounts = accountsOf(engine.docker);
    const found = await Promise.all([1, 2, 3].map(() => accounts.of('sha256:a', never)));
    expect(found[0]).toEqual({ users: [{ name: 'root', uid: 0, gid: 0 }], groups: [] });
    await accounts.of('sha256:b', never);
    await accounts.of('sha256:a', never);
    expect(engine.created).toBe(2);
    expect(engine.removed).toEqual(['p1', 'p2']);
  });

  it('retries after a failure, which leaves no probe either', async () => {
    let failures = 1;
    const engine = probes({
      readFile: () => (failures-- > 0 ? Promise.reject(new Error('torn')) : Promise.resolve('')),
    });
    const accounts = accountsOf(engine.docker);
    await expect(accounts.of('sha256:a', never)).rejects.toThrow('torn');
    expect(await accounts.of('sha256:a', never)).toEqual({ users: [], groups: [] });
    expect(engine.removed).toEqual(['p1', 'p2']);
  });

  it('continues for others when one caller gives up', async () => {
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
