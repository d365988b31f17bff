import { TestDaemon } from '../integration/support/daemon';
import { sharedDockerHost } from '../integration/support/engine';
import { EngineProxy, type SeenCall } from '../integration/support/engine-proxy';
import {
  containerConfig,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
  startedContainer,
} from '../integration/support/pods';
import { median, print, timed } from './measure';

const HUNG_STARTS = 16;
/** Two calls each, because more calls for one container wait for these. */
const HUNG_EXECS = 16;
const ROUNDS = 12;
/** Lists take a millisecond or two. Single measurements would show only the load of the machine. */
const LISTS = 20;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

/** The order is without, with, without, so that other load on the machine is spread over both. */
it('a healthy container, a new pod and lists are served while 32 Engine calls hang', async () => {
  const proxy = await EngineProxy.start(sharedDockerHost());
  const test = await TestDaemon.start({ dockerHost: proxy.dockerHost });
  try {
    // On a busy machine the first connection takes longer than a call waits.
    await test.synced();
    const pod = await runPod(test);
    const healthy = await startedContainer(test, pod, containerConfig('healthy', FOREVER));
    const created = await Promise.all(
      numbers(HUNG_STARTS).map((at) => createContainer(test, pod, containerConfig(`start-${at}`, FOREVER))),
    );
    const running = await Promise.all(
      numbers(HUNG_EXECS / 2).map((at) =>
        startedContainer(test, pod, containerConfig(`exec-${at}`, FOREVER)),
      ),
    );
    const exec = (container_id: string): Promise<unknown> =>
      test.client.call('ExecSync', { container_id, cmd: ['true'], timeout: 60 });
    const work: Record<string, () => Promise<unknown>> = {
      ExecSync: () => exec(healthy),
      RunPodSandbox: async () => {
        const id = await runPod(test, podConfig(test));
        return () => test.client.call('RemovePodSandbox', { pod_sandbox_id: id });
      },
      Lists: async () => {
        for (let at = 0; at < LISTS; at++) {
          await test.client.call('ListContainers', {});
          await test.client.call('ListPodSandbox', {});
        }
      },
    };
    const times = new Map<string, number[]>();
    const measure = async (how: 'with' | 'without'): Promise<void> => {
      for (let round = -1; round < ROUNDS; round++) {
        for (const [name, one] of Object.entries(work)) {
          let after: unknown;
          const ms = await timed(async () => (after = await one()));
          if (typeof after === 'function') await (after as () => Promise<unknown>)();
          const key = `${name} ${how}`;
          if (round >= 0) times.set(key, [...(times.get(key) ?? []), ms]);
        }
      }
    };
    await measure('without');
    const bad = new Set([...created, ...running]);
    const isBad = ({ path }: SeenCall): boolean => bad.has(path.split('/')[2] ?? '');
    proxy.obey((call) => (isBad(call) ? { kind: 'hang', when: 'before' } : undefined));
    const hung = [
      ...created.map((container_id) => test.client.call('StartContainer', { container_id })),
      ...running.flatMap((id) => [exec(id), exec(id)]),
    ];
    const ended = Promise.allSettled(hung);
    await proxy.until(({ hanging }) => hanging.length >= HUNG_STARTS + HUNG_EXECS);
    await measure('with');
    expect(proxy.hanging.length).toBeGreaterThanOrEqual(HUNG_STARTS + HUNG_EXECS);
    proxy.heal();
    await ended;
    await measure('without');
    for (const name of Object.keys(work)) {
      const [a = NaN, b = NaN] = ['with', 'without'].map((how) => median(times.get(`${name} ${how}`) ?? []));
      print(
        `${name} p50 ${a.toFixed(1)} ms with 32 calls hung, ${b.toFixed(1)} ms without, ratio ${(a / b).toFixed(2)}`,
      );
    }
  } finally {
    proxy.heal();
    await test.stop();
    await proxy.stop();
  }
}, 300_000);
