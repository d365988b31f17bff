import { rm } from 'node:fs/promises';
import { forEachLimited } from '../../src/lib/async/concurrency';
import { ChildDaemon } from '../integration/support/child-daemon';
import { TEST_IMAGE } from '../integration/support/engine';
import { print } from './measure';
import { containerdPids, cpuSeconds, dockerdPid } from './processes';

const CONTAINERS = 100;
/**
 * The number of rounds. The kernel counts processor time in hundredths of a second, so fewer rounds would
 * give a figure of one digit.
 */
const OUR_ROUNDS = 100;
const ENGINE_ROUNDS = 5;
const PATIENCE_MS = 600_000;

interface Cost {
  readonly wallMs: number;
  readonly bridgeMs: number;
  readonly dockerdMs: number;
  readonly containerdMs: number;
}

describe(`stats of ${CONTAINERS} running containers`, () => {
  let daemon: ChildDaemon;
  /** Answers the same call with the Engine's one-shot stats. */
  let fallback: ChildDaemon;
  let dockerd: number;
  let pod: string;
  beforeAll(async () => {
    daemon = await ChildDaemon.start();
    dockerd = await dockerdPid();
    const config = {
      metadata: { name: 'bench', uid: 'uid-bench', namespace: 'bench', attempt: 0 },
      linux: {},
    };
    pod = (await daemon.client.call('RunPodSandbox', { config })).pod_sandbox_id;
    await forEachLimited(Array.from({ length: CONTAINERS }).keys(), 8, async (at) => {
      const { container_id } = await daemon.client.call(
        'CreateContainer',
        {
          pod_sandbox_id: pod,
          config: {
            metadata: { name: `idle-${at}`, attempt: 0 },
            image: { image: TEST_IMAGE },
            command: ['sleep', '100000'],
          },
        },
        60_000,
      );
      await daemon.client.call('StartContainer', { container_id }, 60_000);
    });
    fallback = await ChildDaemon.start(['--observe', '--stats-source', 'engine']);
  }, PATIENCE_MS);
  afterAll(async () => {
    // This is not stop(), because the other daemon removes the pods.
    await fallback.kill9();
    await rm(fallback.directory, { recursive: true, force: true });
    await daemon.client.call('RemovePodSandbox', { pod_sandbox_id: pod }, PATIENCE_MS);
    await daemon.stop();
  }, PATIENCE_MS);

  async function costOf(rounds: number, of: ChildDaemon, work: () => Promise<void>): Promise<Cost> {
    const containerd = await containerdPids();
    const used = async (): Promise<[number, number, number]> => {
      const theirs = await Promise.all(containerd.map(cpuSeconds));
      const sum = theirs.reduce((total, one) => total + one, 0);
      return [await cpuSeconds(of.pid), await cpuSeconds(dockerd), sum];
    };
    await work();
    const before = await used();
    const start = performance.now();
    for (let round = 0; round < rounds; round++) await work();
    const wallMs = (performance.now() - start) / rounds;
    const after = await used();
    const [bridgeMs = 0, dockerdMs = 0, containerdMs = 0] = after.map(
      (value, at) => ((value - (before[at] ?? 0)) * 1000) / rounds,
    );
    return { wallMs, bridgeMs, dockerdMs, containerdMs };
  }

  function show(what: string, { wallMs, bridgeMs, dockerdMs, containerdMs }: Cost): void {
    const cpu = `dockbridge ${bridgeMs.toFixed(1)}, dockerd ${dockerdMs.toFixed(1)}, containerd and shims ${containerdMs.toFixed(1)}`;
    print(`  ${what.padEnd(30)} ${wallMs.toFixed(0)} ms; CPU ms: ${cpu}`);
  }

  it(
    "cost less than a twentieth of the Engine's own",
    async () => {
      const list = (of: ChildDaemon) => async (): Promise<void> => {
        const { stats } = await of.client.call('ListContainerStats', {}, PATIENCE_MS);
        expect(stats).toHaveLength(CONTAINERS);
      };
      const ours = await costOf(OUR_ROUNDS, daemon, list(daemon));
      const pods = await costOf(OUR_ROUNDS / 5, daemon, async () => {
        await daemon.client.call('ListPodSandboxStats', {});
      });
      const metrics = await costOf(OUR_ROUNDS / 5, daemon, async () => {
        await daemon.client.call('ListPodSandboxMetrics', {});
      });
      const engine = await costOf(ENGINE_ROUNDS, fallback, list(fallback));
      const total = (cost: Cost): number => cost.bridgeMs + cost.dockerdMs + cost.containerdMs;
      print(`\n${CONTAINERS} running containers, one call each way`);
      show('ListContainerStats', ours);
      show('ListPodSandboxStats', pods);
      show('ListPodSandboxMetrics', metrics);
      show("the same by the Engine's stats", engine);
      print(
        `  ${(total(engine) / total(ours)).toFixed(0)} times our CPU with containerd, which reads for dockerd,`,
      );
      print(
        `  ${((engine.bridgeMs + engine.dockerdMs) / (ours.bridgeMs + ours.dockerdMs)).toFixed(0)} times without containerd;`,
      );
      print(`  ${(engine.wallMs / ours.wallMs).toFixed(0)} times as long`);
      expect(total(engine) / total(ours)).toBeGreaterThan(20);
      expect(engine.wallMs).toBeGreaterThan(ours.wallMs);
    },
    PATIENCE_MS,
  );
});
