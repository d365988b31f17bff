import { join } from 'node:path';
import { silentLogger } from '../../src/lib/logger';
import { engineGet, startPrivateEngine } from './support/engine';
import { TestDaemon } from './support/daemon';
import { untilEngineIsMissed, untilSynced } from './support/engine-link';
import { EventWatch } from './support/event-watch';
import { containerConfig, FOREVER, podConfig, runPod, startedContainer } from './support/pods';

function addressOf(test: TestDaemon): string {
  return `unix://${join(test.directory, 'run', 'metrics.sock')}`;
}

async function page(test: TestDaemon, path: string): Promise<string> {
  return String(await engineGet(addressOf(test), path));
}

/** Returns the lines of the page that begin with this text. */
async function lines(test: TestDaemon, start: string): Promise<string[]> {
  return (await page(test, '/metrics')).split('\n').filter((line) => line.startsWith(start));
}

const isAboutAddress = (fields: unknown): boolean =>
  typeof fields === 'object' && fields !== null && 'address' in fields && !('metrics' in fields);

describe('the metrics endpoint', () => {
  let test: TestDaemon;
  beforeEach(async () => {
    test = await TestDaemon.start();
    await test.synced();
  });
  afterEach(() => test.stop());

  it('shows calls, the Engine, the store, logs and events', async () => {
    const watch = await EventWatch.open(test.client);
    const pod = await runPod(test);
    const id = await startedContainer(test, pod, containerConfig('main', `echo hello; ${FOREVER}`));
    await watch.untilSaid(id, 'started');
    await expect(test.client.call('ContainerStatus', { container_id: 'none' })).rejects.toThrow();
    const text = await page(test, '/metrics');
    for (const line of [
      'dockbridge_cri_calls_total{method="RunPodSandbox",code="OK"} 1',
      'dockbridge_cri_calls_total{method="ContainerStatus",code="NOT_FOUND"} 1',
      'dockbridge_cri_call_duration_seconds_count{method="RunPodSandbox"} 1',
      'dockbridge_engine_calls_total{operation="startContainer",code="OK"} 2',
      'dockbridge_engine_calls_in_flight{operation="startContainer"} 0',
      'dockbridge_engine_up 1',
      'dockbridge_sandboxes{state="ready"} 1',
      'dockbridge_containers{state="running"} 1',
      'dockbridge_container_event_consumers 1',
      'dockbridge_container_events_total 4',
      'dockbridge_logs_followed 1',
      'dockbridge_log_gaps_total 0',
      'dockbridge_streaming_sessions 0',
    ]) {
      expect(text).toContain(`\n${line}\n`);
    }
    expect(text).toMatch(/\ndockbridge_engine_info\{version="[^"]+",api_version="1\.\d+"/);
    expect(Number(/\nprocess_resident_memory_bytes (\d+)/.exec(text)?.[1])).toBeGreaterThan(1e7);
    await watch.close();
  });

  it('measures the delay of Engine events', async () => {
    const count = async (): Promise<number> =>
      Number((await lines(test, 'dockbridge_engine_event_lag_seconds_count'))[0]?.split(' ')[1]);
    const before = await count();
    const watch = await EventWatch.open(test.client);
    const pod = await runPod(test);
    const id = await startedContainer(test, pod, containerConfig('main', 'exit 0'));
    await watch.untilSaid(id, 'stopped');
    expect(await count()).toBeGreaterThan(before);
    await watch.close();
  });

  it("returns cAdvisor's series for pods, without kubelet", async () => {
    const config = podConfig(test);
    const pod = await runPod(test, config);
    const id = await startedContainer(
      test,
      pod,
      containerConfig('burner', 'while :; do :; done', {
        linux: { resources: { cpu_quota: 20_000, cpu_period: 100_000, memory_limit_in_bytes: 64 << 20 } },
      }),
    );
    const name = config.metadata?.name ?? '';
    const valueOf = (text: string, series: string): number => {
      const found = text
        .split('\n')
        .find((line) => line.startsWith(`${series}{`) && line.includes(`container="burner"`));
      expect(found).toContain(`pod="${name}"`);
      expect(found).toContain('namespace="test"');
      expect(found).toContain(id);
      return Number(found?.split(' ').at(-1));
    };
    const first = await page(test, '/metrics/cadvisor');
    expect(valueOf(first, 'container_spec_memory_limit_bytes')).toBe(64 << 20);
    expect(valueOf(first, 'container_memory_working_set_bytes')).toBeGreaterThan(0);
    const before = valueOf(first, 'container_cpu_usage_seconds_total');
    // The counter has fractions of seconds, which CRI's integers cannot hold.
    let now = before;
    while (now - before < 0.05) {
      now = valueOf(await page(test, '/metrics/cadvisor'), 'container_cpu_usage_seconds_total');
    }
    expect(first).toMatch(/^# TYPE container_cpu_usage_seconds_total counter$/m);
    const network = first
      .split('\n')
      .filter((line) => line.startsWith('container_network_receive_bytes_total{'));
    expect(network).toEqual([expect.stringContaining('interface="eth0"')]);
    // Each family is one block, which declares the family's name once.
    const announced = first.match(/^# TYPE \S+/gm) ?? [];
    expect(new Set(announced).size).toBe(announced.length);
  });

  it('makes no Engine call', async () => {
    expect(
      await test.countEngineCalls(async () => {
        await page(test, '/metrics');
        await page(test, '/healthz');
        await page(test, '/metrics/cadvisor');
      }),
    ).toEqual({});
  });

  it('also listens on a configured TCP address, and warns of an address that is not loopback', async () => {
    const warnings: unknown[] = [];
    const logger = {
      ...silentLogger,
      info: (_message: string, fields?: object) => void infos.push(fields),
      warn: (_message: string, fields?: object) => void warnings.push(fields),
    };
    const infos: unknown[] = [];
    const both = await TestDaemon.start({ given: { 'metrics-bind-addr': ':0' }, logger });
    try {
      expect(warnings.filter(isAboutAddress)).toEqual([]);
      const told = infos.find(
        (fields) => typeof fields === 'object' && fields !== null && 'metrics' in fields,
      );
      const [socket, tcp] = (told as { metrics: string }).metrics.split(', ');
      expect(socket).toBe(addressOf(both));
      expect(tcp).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      expect(await (await fetch(`${tcp}/metrics`)).text()).toContain('\ndockbridge_engine_up ');
      expect(await page(both, '/metrics')).toContain('\ndockbridge_engine_up ');
    } finally {
      await both.stop();
    }
    const open = await TestDaemon.start({ given: { 'metrics-bind-addr': '0.0.0.0:0' }, logger });
    await open.stop();
    expect(warnings.filter(isAboutAddress)).toEqual([{ address: '0.0.0.0:0' }]);
  });

  it('does not exist when it is switched off, and a taken address does not stop the daemon', async () => {
    const off = await TestDaemon.start({ given: { 'metrics-address': 'off' } });
    await expect(page(off, '/healthz')).rejects.toThrow(/ENOENT/);
    await off.stop();
    const errors: string[] = [];
    const taken = await TestDaemon.start({
      given: { 'metrics-address': addressOf(test) },
      logger: { ...silentLogger, error: (message) => void errors.push(message) },
    });
    expect(errors).toEqual(['Metrics and health cannot be served; everything else continues']);
    await taken.synced();
    await taken.stop();
    expect(await page(test, '/healthz')).toContain('healthz passed');
  });
});

it('healthz says that the daemon cannot serve while the Engine is gone, and why', async () => {
  const engine = await startPrivateEngine('health', { images: false });
  const test = await TestDaemon.start({ dockerHost: engine.dockerHost, linkTimes: { reconnect: 50 } });
  try {
    await test.synced();
    expect(await page(test, '/healthz')).toBe('[+]engine ok\n[+]store ok\n[+]logs ok\nhealthz passed\n');
    await engine.stop();
    await untilEngineIsMissed(test);
    await expect(page(test, '/healthz')).rejects.toThrow(/503 \[-\]engine failed: .+\n\[\+\]store ok/);
    expect(await lines(test, 'dockbridge_engine_up')).toEqual(['dockbridge_engine_up 0']);
    await engine.start();
    await untilSynced(test);
    expect(await page(test, '/healthz')).toContain('healthz passed');
  } finally {
    await test.stop();
    await engine.destroy();
  }
});
