import { setTimeout as delay } from 'node:timers/promises';
import { type Logger, type LogFields, silentLogger } from '../../src/lib/logger';
import { TestDaemon } from './support/daemon';
import { containerConfig, FOREVER, output, runPod, startedContainer } from './support/pods';

describe('stats with --stats-source=engine', () => {
  const said: LogFields[] = [];
  let test: TestDaemon;
  let pod: string;
  let container: string;
  beforeAll(async () => {
    const logger: Logger = {
      ...silentLogger,
      info: (message, fields = {}) => said.push({ message, ...fields }),
    };
    const layerTimes = { shortest: 100, longest: 100 };
    test = await TestDaemon.start({ given: { 'stats-source': 'engine' }, layerTimes, logger });
    pod = await runPod(test);
    container = await startedContainer(test, pod, containerConfig('main', FOREVER));
  });
  afterAll(() => test.stop());

  it('are the one-shot stats of the Engine, as the log says', async () => {
    expect(said).toContainEqual({
      message: expect.stringMatching(/^Reading stats from Docker Engine/) as string,
      reason: '--stats-source=engine',
    });
    const calls = await test.countEngineCalls(async () => {
      const { stats } = await test.client.call('ListContainerStats', {});
      const [own] = stats;
      expect(stats).toHaveLength(1);
      expect(own?.attributes?.metadata?.name).toBe('main');
      expect(Number(own?.cpu?.usage_core_nano_seconds?.value)).toBeGreaterThan(0);
      expect(Number(own?.memory?.working_set_bytes?.value)).toBeGreaterThan(0);
      expect(own?.memory?.available_bytes).toBeNull();
    });
    expect(calls.containerStats).toBe(1);
  });

  it('include the network of pods and metrics', async () => {
    const { stats } = await test.client.call('PodSandboxStats', { pod_sandbox_id: pod });
    expect(stats?.linux?.network?.default_interface?.name).toBe('eth0');
    expect(Number(stats?.linux?.memory?.usage_bytes?.value)).toBeGreaterThan(0);
    const { pod_metrics } = await test.client.call('ListPodSandboxMetrics', {});
    const names = pod_metrics[0]?.container_metrics[0]?.metrics.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['container_memory_rss', 'container_cpu_usage_seconds_total']),
    );
  });

  it('include writable layers, measured by the Engine', async () => {
    await output(test, container, 'head -c 5000000 /dev/zero > /written; sync');
    let used = 0;
    while (used < 5_000_000) {
      const { stats } = await test.client.call('ContainerStats', { container_id: container });
      used = Number(stats?.writable_layer?.used_bytes?.value ?? 0);
      await delay(100);
    }
    expect(used).toBeLessThan(5_100_000);
    const last = test.engineCalls.filter(({ operation }) => operation === 'containerSize');
    expect(last.length).toBeGreaterThan(0);
  });
});
