import { ChildDaemon } from '../integration/support/child-daemon';
import { engineGet, sharedDockerHost } from '../integration/support/engine';
import { EngineProxy } from '../integration/support/engine-proxy';
import { makeIdlePods } from './idle-pods';
import { median, print, timed } from './measure';
import { resourcesOf, type Resources } from './processes';

/** The number of pods. A hundred are 500 containers for the Engine. RESTART_PODS=… sets another number. */
const PODS = Number(process.env.RESTART_PODS ?? 100);
const PER_POD = 4;
const ROUNDS = 5;
/** The duration of each Engine call when the Engine is slow, in ms. */
const SLOW_MS = 2_000;

interface Answers {
  /** Milliseconds since the exec of the process. */
  readonly serving: number;
  readonly containers: number;
  readonly pods: number;
  readonly status: number;
  readonly ready: number;
}

it('a restart with hundreds of idle containers is measured: first answers, memory and descriptors', async () => {
  const proxy = await EngineProxy.start(sharedDockerHost());
  const daemon = await ChildDaemon.start();
  try {
    const empty = await resourcesOf(daemon.pid);
    await makeIdlePods(daemon, { pods: PODS, perPod: PER_POD });
    const full = PODS * (PER_POD + 1);
    const bare = await times(ROUNDS, () =>
      timed(() => engineGet(sharedDockerHost(), '/containers/json?all=1')),
    );
    print(`${PODS} pods with ${PER_POD} containers each: ${full} containers for the Engine, all running`);
    const rounds = await times(ROUNDS, () => restart(daemon));
    tell('', rounds);
    const lists = median(rounds.map(({ containers, pods }) => Math.max(containers, pods)));
    print(
      `the Engine's own list (docker ps -a) p50 ${median(bare).toFixed(0)} ms: both lists, with the start of the process, take ${(lists / median(bare)).toFixed(0)} times that`,
    );
    // Stats hold cgroup files open.
    expect((await daemon.client.call('ListContainerStats', {})).stats).toHaveLength(PODS * PER_POD);
    const used = await resourcesOf(daemon.pid);
    const each = (one: keyof Resources): string => ((used[one] - empty[one]) / full).toFixed(2);
    print(
      `memory ${used.memory.toFixed(0)} MiB, of which ${each('memory')} MiB a container; without any ${empty.memory.toFixed(0)} MiB`,
    );
    print(
      `descriptors ${used.descriptors}, of which ${each('descriptors')} a container; without any ${empty.descriptors}`,
    );
    proxy.obey(() => ({ kind: 'delay', ms: SLOW_MS }));
    tell(`each Engine call takes ${SLOW_MS} ms: `, [await restart(daemon, proxy.dockerHost)]);
  } finally {
    proxy.heal();
    await daemon.terminate();
    await daemon.launch(undefined, sharedDockerHost());
    await daemon.stop();
    await proxy.stop();
  }
}, 1_800_000);

function tell(how: string, rounds: readonly Answers[]): void {
  const p50 = (one: keyof Answers): string => median(rounds.map((answers) => answers[one])).toFixed(0);
  print(
    `${how}p50 of ${rounds.length}, ms after exec: serves ${p50('serving')}, ListContainers ${p50('containers')}, ListPodSandbox ${p50('pods')}, ContainerStatus ${p50('status')}, ready ${p50('ready')}`,
  );
}

async function restart(daemon: ChildDaemon, dockerHost = sharedDockerHost()): Promise<Answers> {
  await daemon.terminate();
  const start = performance.now();
  const since = (): number => performance.now() - start;
  await daemon.launch('Serving CRI', dockerHost);
  const serving = since();
  const { client } = daemon;
  const containers = async () => {
    const { containers: all } = await answered(() => client.call('ListContainers', {}));
    expect(all.filter(({ state }) => state === 1)).toHaveLength(PODS * PER_POD);
    return { at: since(), id: all.at(-1)?.id ?? '' };
  };
  const pods = async () => {
    const { items } = await answered(() => client.call('ListPodSandbox', {}));
    expect(items.filter(({ state }) => state === 0)).toHaveLength(PODS);
    return since();
  };
  const [listed, podsAt] = await Promise.all([containers(), pods()]);
  await answered(() => client.call('ContainerStatus', { container_id: listed.id }));
  const status = since();
  await daemon.says();
  return { serving, containers: listed.at, pods: podsAt, status, ready: since() };
}

/** Repeats UNAVAILABLE calls, as kubelet does. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!String(error).includes('UNAVAILABLE')) throw error;
    }
  }
}

async function times<T>(count: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let round = 0; round < count; round++) results.push(await work());
  return results;
}
