import { setTimeout as delay } from 'node:timers/promises';
import { ChildDaemon } from '../integration/support/child-daemon';
import { makeIdlePods } from './idle-pods';
import { print } from './measure';
import { cpuSeconds, resourcesOf } from './processes';

/** The numbers of containers in the Engine, including pause containers: docs/sizing.md. SIZING=0,50,100. */
const SIZES = (process.env.SIZING ?? '0,50,100').split(',').map(Number);
const PER_POD = 4;
/** How long the processor time of an idle daemon is counted, in ms. */
const WINDOW_MS = Number(process.env.SIZING_MS ?? 30_000);
/** kubelet lists pods and containers each second, and asks for stats and disks every ten seconds. */
const SECOND_MS = 1_000;
const STATS_EVERY = 10;

it('memory, descriptors and processor time are measured for some numbers of idle containers', async () => {
  const daemon = await ChildDaemon.start();
  let made = 0;
  try {
    for (const size of SIZES) {
      const pods = Math.round(size / (PER_POD + 1));
      await makeIdlePods(daemon, { pods: pods - made, perPod: PER_POD, from: made });
      made = pods;
      // Restarts the daemon, as an upgrade does, because an idle daemon does not have the memory that so many
      // starts of pods leave behind.
      await daemon.terminate();
      await daemon.launch();
      const { pid, client } = daemon;
      await askAsKubelet(client, 1);
      const cpuIn = async (work: Promise<unknown>): Promise<string> => {
        const before = await cpuSeconds(pid);
        const start = performance.now();
        await work;
        const seconds = (performance.now() - start) / 1000;
        return ((((await cpuSeconds(pid)) - before) / seconds) * 1000).toFixed(1);
      };
      // This comes first, because the first measurement of the disks after a start does not count as idle.
      const asked = await cpuIn(askAsKubelet(client, WINDOW_MS / SECOND_MS));
      const alone = await cpuIn(delay(WINDOW_MS));
      const { memory, descriptors } = await resourcesOf(pid);
      print(
        `${pods * (PER_POD + 1)} containers in ${pods} pods: ${memory.toFixed(0)} MiB, ${descriptors} descriptors; CPU in ms per s: ${alone} without calls, ${asked} with kubelet's calls`,
      );
    }
  } finally {
    await daemon.stop();
  }
}, 1_800_000);

async function askAsKubelet(client: ChildDaemon['client'], seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    const next = delay(SECOND_MS);
    await Promise.all([client.call('ListPodSandbox', {}), client.call('ListContainers', {})]);
    if (second % STATS_EVERY === 0)
      await Promise.all([client.call('ListPodSandboxStats', {}), client.call('ImageFsInfo', {})]);
    await next;
  }
}
