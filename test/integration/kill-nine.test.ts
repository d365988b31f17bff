import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { status as codes, type ServiceError } from '@grpc/grpc-js';
import { CriClient } from '../../src/server/client/cri-client';
import { ContainerState } from '../../src/proto/enums';
import { ChildDaemon } from './support/child-daemon';
import { engineGet, sharedDockerHost, TEST_IMAGE } from './support/engine';

const PODS = 5;
const KILLS = 12;
/** Seeds the moments of the kills. To repeat a failure, set the printed value. */
const SEED = Number(process.env.DOCKBRIDGE_TEST_SEED ?? Date.now() % 1_000_000);
const OURS = encodeURIComponent(JSON.stringify({ label: ['io.kubernetes.docker.type'] }));

let daemon: ChildDaemon;
/** The number of kills so far. `up` resolves when the daemon that follows the last kill serves. */
let generation = 0;
let up: Promise<void> = Promise.resolve();
const interrupted: Record<string, number> = {};

beforeAll(async () => {
  daemon = await ChildDaemon.start();
});
afterAll(async () => {
  expect(await daemon.stop()).toBe(0);
});

interface Summary {
  readonly Id: string;
  readonly State: string;
  readonly Labels: Record<string, string>;
}

async function engineIds(type: 'podsandbox' | 'container'): Promise<string[]> {
  const all = (await engineGet(sharedDockerHost(), `/containers/json?all=1&filters=${OURS}`)) as Summary[];
  return all
    .filter(({ Labels }) => Labels['io.kubernetes.docker.type'] === type)
    .map(({ Id }) => Id)
    .sort();
}

async function expectListsEqualTheEngine(): Promise<{ pods: string[]; containers: string[] }> {
  const { items } = await daemon.client.call('ListPodSandbox', {});
  const { containers } = await daemon.client.call('ListContainers', {});
  const listed = {
    pods: items.map(({ id }) => id).sort(),
    containers: containers.map(({ id }) => id).sort(),
  };
  expect(listed).toEqual({ pods: await engineIds('podsandbox'), containers: await engineIds('container') });
  return listed;
}

/**
 * Makes a call as kubelet does: a call that a kill interrupts is repeated unchanged, and must then succeed.
 */
async function insist<T>(name: string, call: (client: CriClient) => Promise<T>): Promise<T> {
  for (;;) {
    await up;
    const begun = generation;
    try {
      return await call(daemon.client);
    } catch (error) {
      const killed = generation !== begun;
      if (!killed) throw new Error(`${name}: ${String(error)} (seed ${SEED})`, { cause: error });
      interrupted[name] = (interrupted[name] ?? 0) + 1;
    }
  }
}

/** Succeeds also if an interrupted start has taken effect, because the caller finds its container running. */
async function start(container_id: string): Promise<void> {
  await insist('StartContainer', async (client) => {
    try {
      await client.call('StartContainer', { container_id });
    } catch (error) {
      const { status } = await client.call('ContainerStatus', { container_id });
      const isLate = (error as ServiceError).code === codes.FAILED_PRECONDITION;
      if (!isLate || status?.state !== ContainerState.CONTAINER_RUNNING) throw error;
    }
  });
}

/** Makes one pod after the other until `ended` returns true, and leaves the last pod running. @returns its attempt. */
async function live(worker: number, ended: () => boolean): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const metadata = { name: `kill-${worker}`, namespace: 'test', uid: `uid-${worker}`, attempt };
    const config = { metadata, log_directory: `${daemon.logDirectory}/${worker}-${attempt}`, linux: {} };
    const { pod_sandbox_id } = await insist('RunPodSandbox', (client) =>
      client.call('RunPodSandbox', { config }),
    );
    const containers: string[] = [];
    for (const name of ['one', 'two']) {
      const container = {
        metadata: { name, attempt: 0 },
        image: { image: TEST_IMAGE },
        command: ['sleep', '1000'],
        log_path: `${name}.log`,
        linux: {},
      };
      const { container_id } = await insist('CreateContainer', (client) =>
        client.call('CreateContainer', { pod_sandbox_id, config: container, sandbox_config: config }),
      );
      containers.push(container_id);
      await start(container_id);
    }
    // No container exists twice, whichever calls were interrupted and repeated.
    const filter = { pod_sandbox_id };
    const listed = await insist('ListContainers', (client) => client.call('ListContainers', { filter }));
    expect(listed.containers.map(({ id }) => id).sort()).toEqual([...containers].sort());
    if (ended()) return attempt;
    await insist('StopPodSandbox', (client) => client.call('StopPodSandbox', { pod_sandbox_id }));
    await insist('RemovePodSandbox', (client) => client.call('RemovePodSandbox', { pod_sandbox_id }));
  }
}

it('a daemon that is killed repeatedly loses nothing, duplicates nothing and leaves nothing behind', async () => {
  let seed = SEED;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (seed >>> 8) % below;
  };
  let over = false;
  const failed = new AbortController();
  const workers = Promise.all(Array.from({ length: PODS }, (_, worker) => live(worker, () => over)));
  workers.catch((error: unknown) => failed.abort(error));
  for (let kill = 0; kill < KILLS; kill++) {
    // The kills come at random moments, so there is no event to wait for.
    await delay(random(400));
    failed.signal.throwIfAborted();
    let launched!: () => void;
    up = new Promise((resolve) => (launched = resolve));
    generation++;
    await daemon.kill9();
    // The socket of the dead daemon is still there. The next daemon replaces it.
    expect(existsSync(daemon.endpoint.slice('unix://'.length))).toBe(true);
    await daemon.launch();
    launched();
    await expectNoStranger();
  }
  over = true;
  const rounds = await workers;

  // Another kill without calls under way. The next daemon gets all data from the Engine.
  await daemon.kill9();
  await daemon.launch();
  const { pods, containers } = await expectListsEqualTheEngine();
  expect(pods).toHaveLength(PODS);
  expect(containers).toHaveLength(2 * PODS);
  const { items } = await daemon.client.call('ListPodSandbox', {});
  expect(items.map(({ metadata }) => `${metadata?.name ?? ''} ${metadata?.attempt ?? -1}`).sort()).toEqual(
    rounds.map((attempt, worker) => `kill-${worker} ${attempt}`),
  );
  for (const id of containers) {
    const { status } = await daemon.client.call('ContainerStatus', { container_id: id });
    expect(status?.state).toBe(ContainerState.CONTAINER_RUNNING);
  }
  // The kills must have interrupted calls. Otherwise this test proves nothing.
  expect(Object.values(interrupted).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);

  for (const id of pods) await daemon.client.call('RemovePodSandbox', { pod_sandbox_id: id });
  expect(await expectListsEqualTheEngine()).toEqual({ pods: [], containers: [] });
}, 240_000);

/** Expects lists right after a start, while calls arrive, to contain only objects that are or were in the Engine. */
async function expectNoStranger(): Promise<void> {
  const before = new Set([...(await engineIds('podsandbox')), ...(await engineIds('container'))]);
  const { items } = await daemon.client.call('ListPodSandbox', {});
  const { containers } = await daemon.client.call('ListContainers', {});
  const after = new Set([...(await engineIds('podsandbox')), ...(await engineIds('container'))]);
  for (const { id } of [...items, ...containers]) expect(before.has(id) || after.has(id)).toBe(true);
}

describe('the socket', () => {
  it('of a live daemon is refused to a second one, which gives the reason and changes nothing', async () => {
    await expect(ChildDaemon.start(['--container-runtime-endpoint', daemon.endpoint])).rejects.toThrow(
      /another process already answers on .*cri\.sock: stop it or choose another endpoint/,
    );
    expect((await daemon.client.call('Version', {})).runtime_name).toBe('docker');
    const fresh = new CriClient(daemon.endpoint);
    expect((await fresh.call('Version', {})).runtime_name).toBe('docker');
    fresh.close();
  });

  it('of a daemon that is killed during calls serves the next daemon’s clients', async () => {
    const calls = Array.from({ length: 50 }, () => daemon.client.call('Version', {}));
    const all = Promise.allSettled(calls);
    await daemon.kill9();
    await all;
    await daemon.launch();
    expect((await daemon.client.call('Version', {})).runtime_name).toBe('docker');
  });
});
