import { join } from 'node:path';
import { silentLogger } from '../../src/lib/logger';
import { engineGet, startPrivateEngine } from './support/engine';
import { TestDaemon } from './support/daemon';
import { EventWatch } from './support/event-watch';
import { containerConfig, FOREVER, runPod, startedContainer } from './support/pods';

function addressOf(test: TestDaemon): string {
  return `unix://${join(test.directory, 'run', 'metrics.sock')}`;
}

async function page(test: TestDaemon, path: string): Promise<string> {
  return String(await engineGet(addressOf(test), path));
}

/** Lines of the page that begin so. */
async function lines(test: TestDaemon, start: string): Promise<string[]> {
  return (await page(test, '/metrics')).split('\n').filter((line) => line.startsWith(start));
}

describe('The metrics endpoint', () => {
  let test: TestDaemon;
  beforeEach(async () => {
    test = await TestDaemon.start();
    await test.synced();
  });
  afterEach(() => test.stop());

  it('tells of calls, the Engine, the store, logs and events', async () => {
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

  it('times the events of the Engine', async () => {
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

  it('makes no Engine call', async () => {
    expect(
      await test.countEngineCalls(async () => {
        await page(test, '/metrics');
        await page(test, '/healthz');
      }),
    ).toEqual({});
  });

  it('is not there when it is turned off, nor in the way when its address is taken', async () => {
    const off = await TestDaemon.start({ given: { 'metrics-address': 'off' } });
    await expect(page(off, '/healthz')).rejects.toThrow(/ENOENT/);
    await off.stop();
    const errors: string[] = [];
    const taken = await TestDaemon.start({
      given: { 'metrics-address': addressOf(test) },
      logger: { ...silentLogger, error: (message) => void errors.push(message) },
    });
    expect(errors).toEqual(['Metrics and health cannot be served; all else goes on']);
    await taken.synced();
    await taken.stop();
    expect(await page(test, '/healthz')).toContain('healthz passed');
  });
});

it('says that the daemon cannot serve while the Engine is gone, and why', async () => {
  const engine = await startPrivateEngine('health', { images: false });
  const test = await TestDaemon.start({ dockerHost: engine.dockerHost, linkTimes: { reconnect: 50 } });
  try {
    await test.synced();
    expect(await page(test, '/healthz')).toBe('[+]engine ok\n[+]store ok\nhealthz passed\n');
    await engine.stop();
    await expect(page(test, '/healthz')).rejects.toThrow(/503 \[-\]engine failed: .+\n\[\+\]store ok/);
    expect(await lines(test, 'dockbridge_engine_up')).toEqual(['dockbridge_engine_up 0']);
    await engine.start();
    await test.synced();
    expect(await page(test, '/healthz')).toContain('healthz passed');
  } finally {
    await test.stop();
    await engine.destroy();
  }
});
