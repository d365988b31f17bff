import { setTimeout as delay } from 'node:timers/promises';
import type { cri } from '../../src/proto';
import { PodSandboxState } from '../../src/proto/enums';
import { ChildDaemon } from './support/child-daemon';
import { CniNode } from './support/cni-node';
import { engineCall, engineLeftovers, startPrivateEngine, type PrivateEngine } from './support/engine';

const PODS = 50;
/** A call's work must be done, and visibly undone, within this time. */
const LIMIT_MS = 60_000;

let engine: PrivateEngine;
let node: CniNode;
let daemon: ChildDaemon;
/** Counts the starts and ends of disturbances. A call that fails while this stays the same has really failed. */
let blows = 0;
let calm: Promise<void> = Promise.resolve();

beforeAll(async () => {
  node = await CniNode.create();
  const { cniVersion, name, plugins } = node.network(['10.89.0.0/24']) as {
    plugins: { type: string }[];
  } & Record<string, unknown>;
  const kept = plugins.filter(({ type }) => ['bridge', 'portmap', 'firewall'].includes(type));
  await node.configure({ cniVersion, name, plugins: kept });
  engine = await startPrivateEngine('cni-storm', { images: false });
  daemon = await ChildDaemon.start(node.arguments, engine.dockerHost);
}, 120_000);

afterAll(async () => {
  try {
    // Removes what a failed test has left, including its directory.
    await daemon.stop();
  } finally {
    await daemon.kill9();
    await engine.destroy();
    await node.destroy();
  }
}, 120_000);

/** Runs `harm`, which also repairs what it breaks. Calls that fail meanwhile are repeated after its end. */
async function blow(harm: () => Promise<void>): Promise<void> {
  const before = calm;
  calm = (async () => {
    await before;
    blows++;
    await harm();
    blows++;
  })();
  await calm;
}

const kill = (): Promise<void> =>
  blow(async () => {
    await daemon.kill9();
    await daemon.launch();
  });

/** Repeats a call that a disturbance made fail, as kubelet does. Throws any other failure. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    await calm;
    const before = blows;
    try {
      return await call();
    } catch (error) {
      if (blows === before) throw error;
    }
  }
}

interface Pod {
  readonly number: number;
  readonly attempt: number;
  readonly id: string;
}

function config(number: number, attempt: number): cri.IPodSandboxConfig {
  const name = `storm-${number}`;
  return {
    metadata: { name, uid: `uid-${name}`, namespace: 'test', attempt },
    hostname: name,
    log_directory: `${daemon.logDirectory}/${name}`,
    linux: {},
    port_mappings: number % 5 === 0 ? [{ container_port: 80, host_port: 20_000 + number }] : [],
  };
}

async function create(number: number, attempt: number): Promise<Pod> {
  const { pod_sandbox_id: id } = await insist(() =>
    daemon.client.call('RunPodSandbox', { config: config(number, attempt) }),
  );
  return { number, attempt, id };
}

async function remove({ id }: Pod): Promise<void> {
  await insist(() => daemon.client.call('StopPodSandbox', { pod_sandbox_id: id }));
  await insist(() => daemon.client.call('RemovePodSandbox', { pod_sandbox_id: id }));
}

/** Removes a pod outside CRI. */
const removeByHand = (pod: Pod): Promise<unknown> =>
  engineCall(engine.dockerHost, 'DELETE', `/containers/${pod.id}?force=1&v=1`);

/** Awaits all of `work`, while at most `count` kills come at random moments. */
async function underKills<T>(work: Promise<T>[], count: number): Promise<T[]> {
  const all = Promise.all(work);
  const over = all.then(() => 'over' as const);
  const kills = (async () => {
    for (let done = 0; done < count; done++) {
      if ((await Promise.race([delay(Math.random() * 2_000), over])) === 'over') return;
      await kill();
    }
  })();
  const [results] = await Promise.all([all, kills]);
  return results;
}

/** Expects each of these pods to be ready, and to have an address that is leased only to this pod. */
async function expectOwnAddresses(pods: readonly Pod[]): Promise<void> {
  const owners = new Map<string, string>();
  for (const { id } of pods) {
    const { status } = await daemon.client.call('PodSandboxStatus', { pod_sandbox_id: id });
    expect(status?.state).toBe(PodSandboxState.SANDBOX_READY);
    const ip = status?.network?.ip ?? '';
    expect([ip, owners.get(ip)]).toEqual([expect.stringMatching(/^10\.89\.0\./), undefined]);
    owners.set(ip, id);
  }
  const leases = new Map((await node.leases()).map(({ ip, holder }) => [ip, holder.trim().split(/\s/)[0]]));
  for (const [ip, id] of owners) expect([ip, leases.get(ip)]).toEqual([ip, id]);
}

/** Files, links and rules can only be polled. */
async function untilNothingIsLeft(): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while ((await node.traces()).length > 0 && Date.now() < end) await delay(100);
  expect(await node.traces()).toEqual([]);
}

const NUMBERS = Array.from({ length: PODS }, (_, number) => number);

describe('a node with many kills', () => {
  it(
    'gives each pod an address of its own, and keeps nothing of the removed pods',
    async () => {
      const born = await underKills(
        NUMBERS.map((number) => create(number, 0)),
        4,
      );
      await expectOwnAddresses(born);

      const [vanished, killedOff, kept] = [born.slice(0, 5), born.slice(5, 10), born.slice(10)];
      await Promise.all(vanished.map(removeByHand));
      await blow(async () => {
        await daemon.kill9();
        await Promise.all(killedOff.map(removeByHand));
        await daemon.launch();
      });
      // kubelet may still remove such a pod, or may never have heard of it.
      await Promise.all([vanished[0]!, killedOff[0]!].map(remove));
      await expectOwnAddresses(kept);

      await Promise.all([
        ...kept.slice(0, 15).map(remove),
        ...NUMBERS.slice(0, 10).map((number) => create(number, 1)),
        blow(async () => {
          await delay(Math.random() * 2_000);
          await engine.stop();
          await engine.start();
          // A new daemon reports when it has read the Engine.
          await daemon.kill9();
          await daemon.launch();
        }),
      ]);
      const reborn = await Promise.all(
        kept.slice(15).map(async (pod) => {
          await insist(() => daemon.client.call('StopPodSandbox', { pod_sandbox_id: pod.id }));
          return create(pod.number, 1);
        }),
      );
      await expectOwnAddresses(reborn);

      const { items } = await daemon.client.call('ListPodSandbox', {});
      await underKills(
        items.map(({ id }) => remove({ id, number: 0, attempt: 0 })),
        3,
      );
      await untilNothingIsLeft();
      expect(await engineLeftovers(engine.dockerHost)).toEqual([]);
    },
    // Only a call that never ends takes that long.
    15 * LIMIT_MS,
  );
});
