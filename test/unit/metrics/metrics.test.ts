import { CallLanes } from '../../../src/docker/call-lanes';
import { notFound, unavailable } from '../../../src/lib/errors';
import { DaemonMetrics } from '../../../src/metrics/daemon-metrics';
import type { MetricSources } from '../../../src/metrics/sources';
import { WritableStore } from '../../../src/store/store';
import { LOG_STATS } from '../support/log-stats';
import { containerRecord, engineId, imageRecord, runningContainer, sandboxRecord } from '../support/records';

function sources(more: Partial<MetricSources> = {}): MetricSources {
  return {
    store: new WritableStore(),
    link: { state: { ready: true }, trouble: undefined },
    lanes: new CallLanes(),
    logs: { stats: () => Promise.resolve(LOG_STATS) },
    podEvents: { stats: { published: 8, consumers: 1, cutOff: 2, backlog: 3 } },
    streaming: { sessionCount: 5 },
    network: { condition: () => ({ ready: true }) },
    droppedLogLines: () => 6,
    ...more,
  };
}

/** Maps `name{labels}` to its value. */
async function series(metrics: DaemonMetrics, from = sources()): Promise<Map<string, number>> {
  const lines = (await metrics.render(from)).split('\n').filter((line) => /^[a-z]/.test(line));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' ') + 1)),
    ]),
  );
}

describe('DaemonMetrics', () => {
  it('counts and times CRI calls by method and code', async () => {
    const metrics = new DaemonMetrics('1');
    metrics.onCall({ method: 'Status', code: 'OK', seconds: 0.004 });
    metrics.onCall({ method: 'Status', code: 'NOT_FOUND', seconds: 0.3 });
    const now = await series(metrics);
    expect(now.get('dockbridge_cri_calls_total{method="Status",code="OK"}')).toBe(1);
    expect(now.get('dockbridge_cri_calls_total{method="Status",code="NOT_FOUND"}')).toBe(1);
    expect(now.get('dockbridge_cri_call_duration_seconds_count{method="Status"}')).toBe(2);
    expect(now.get('dockbridge_cri_call_duration_seconds_sum{method="Status"}')).toBeCloseTo(0.304);
    expect(now.get('dockbridge_cri_call_duration_seconds_bucket{le="0.005",method="Status"}')).toBe(1);
  });

  it('counts Engine calls during and after the call', async () => {
    const metrics = new DaemonMetrics('1');
    for (let call = 0; call < 3; call++) metrics.onEngineCallBegun('pullImage');
    metrics.onEngineCall({ operation: 'pullImage', error: undefined, seconds: 1 });
    metrics.onEngineCall({ operation: 'pullImage', error: notFound('x'), seconds: 1 });
    metrics.onEngineCallBegun('ping');
    metrics.onEngineCall({ operation: 'ping', error: new Error('x'), seconds: 1 });
    const now = await series(metrics);
    expect(now.get('dockbridge_engine_calls_in_flight{operation="pullImage"}')).toBe(1);
    expect(now.get('dockbridge_engine_calls_in_flight{operation="ping"}')).toBe(0);
    expect(now.get('dockbridge_engine_calls_total{operation="pullImage",code="OK"}')).toBe(1);
    expect(now.get('dockbridge_engine_calls_total{operation="pullImage",code="NOT_FOUND"}')).toBe(1);
    expect(now.get('dockbridge_engine_calls_total{operation="ping",code="UNKNOWN"}')).toBe(1);
  });

  it('reads the store, the logs, the events and the process at each scrape', async () => {
    const store = new WritableStore();
    store.sandboxes.put(sandboxRecord());
    store.sandboxes.put(sandboxRecord({ id: engineId('a2'), engineName: 'two', networkReady: false }));
    store.containers.put(runningContainer());
    store.containers.put(containerRecord({ id: engineId('c2'), engineName: 'c2', state: 'unknown' }));
    store.images.put(imageRecord());
    const metrics = new DaemonMetrics('1.2.3');
    const now = await series(metrics, sources({ store }));
    expect(Object.fromEntries(now)).toMatchObject({
      'dockbridge_sandboxes{state="ready"}': 1,
      'dockbridge_sandboxes{state="notready"}': 1,
      'dockbridge_containers{state="running"}': 1,
      'dockbridge_containers{state="unknown"}': 1,
      'dockbridge_containers{state="exited"}': 0,
      dockbridge_images: 1,
      dockbridge_engine_up: 1,
      dockbridge_logs_followed: 2,
      dockbridge_log_lag_bytes: 300,
      dockbridge_log_largest_lag_bytes: 200,
      dockbridge_log_records_total: 4,
      dockbridge_log_bytes_total: 500,
      dockbridge_log_gaps_total: 1,
      dockbridge_log_unreadable_total: 6,
      dockbridge_log_stalls_total: 7,
      dockbridge_container_events_total: 8,
      dockbridge_container_event_consumers: 1,
      dockbridge_container_event_cut_offs_total: 2,
      dockbridge_container_event_backlog: 3,
      dockbridge_streaming_sessions: 5,
    });
    expect(now.get('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(now.get('process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(now.get('process_open_fds')).toBeGreaterThan(2);
    expect(now.get('process_max_fds')).toBeGreaterThan(now.get('process_open_fds') ?? Infinity);
    const started = now.get('process_start_time_seconds') ?? 0;
    expect(Math.abs(started - (Date.now() / 1000 - process.uptime()))).toBeLessThan(60);
  });

  it('shows changes between two scrapes', async () => {
    const store = new WritableStore();
    const metrics = new DaemonMetrics('1');
    const running = 'dockbridge_containers{state="running"}';
    store.containers.put(runningContainer());
    expect((await series(metrics, sources({ store }))).get(running)).toBe(1);
    store.containers.delete(runningContainer().id);
    const logs = { stats: () => Promise.resolve({ ...LOG_STATS, records: 9 }) };
    const link = { state: { ready: false }, trouble: undefined };
    const now = await series(metrics, sources({ store, logs, link }));
    expect(now.get(running)).toBe(0);
    expect(now.get('dockbridge_log_records_total')).toBe(9);
    expect(now.get('dockbridge_engine_up')).toBe(0);
  });

  it.each([
    ['logs that hang', { reason: 'LogsHang', message: '' }, 1, 0],
    ['logs without a thread', { reason: 'LogsWithoutThread', message: '' }, 0, 1],
    ['logs without a problem', undefined, 0, 0],
  ])('identifies %s', async (_, trouble, hung, threadless) => {
    const now = await series(new DaemonMetrics('1'), sources({ logs: { trouble } }));
    expect(now.get('dockbridge_logs_hung')).toBe(hung);
    expect(now.get('dockbridge_logs_without_thread')).toBe(threadless);
  });

  it('reports 0 followed logs when the logs do not answer', async () => {
    const logs = { stats: () => Promise.reject(unavailable('the logs are closed')) };
    const now = await series(new DaemonMetrics('1'), sources({ logs }));
    expect(now.get('dockbridge_logs_followed')).toBe(0);
    const linked = await series(new DaemonMetrics('1'), sources({ logs: {} }));
    expect(linked.get('dockbridge_engine_up')).toBe(1);
  });

  it('makes one page for simultaneous scrapes', async () => {
    let asked = 0;
    const logs = { stats: () => Promise.resolve({ ...LOG_STATS, records: ++asked }) };
    const metrics = new DaemonMetrics('1');
    const all = sources({ logs });
    const pages = await Promise.all([metrics.render(all), metrics.render(all), metrics.render(all)]);
    expect([asked, new Set(pages).size]).toEqual([1, 1]);
    await metrics.render(all);
    expect(asked).toBe(2);
  });

  it('counts failed runs of CNI plugins, and shows 0 for those that never failed', async () => {
    const metrics = new DaemonMetrics('1');
    const run = { plugin: 'bridge', command: 'ADD', seconds: 0.1 };
    metrics.onPluginRun({ ...run, failed: false });
    const failures = 'dockbridge_cni_plugin_failures_total{plugin="bridge",command="ADD"}';
    expect((await series(metrics)).get(failures)).toBe(0);
    metrics.onPluginRun({ ...run, failed: true });
    const now = await series(metrics);
    expect(now.get(failures)).toBe(1);
    expect(now.get('dockbridge_cni_plugin_duration_seconds_count{plugin="bridge",command="ADD"}')).toBe(2);
  });

  it.each([
    [true, 1],
    [false, 0],
  ])('reports whether the network is ready: %s', async (ready, value) => {
    const now = await series(new DaemonMetrics('1'), sources({ network: { condition: () => ({ ready }) } }));
    expect(now.get('dockbridge_network_ready')).toBe(value);
  });

  it('reports no negative lag when the clock was set back', async () => {
    const metrics = new DaemonMetrics('1');
    metrics.onEngineEvent(-5);
    metrics.onEngineEvent(0.3);
    const now = await series(metrics);
    expect(now.get('dockbridge_engine_event_lag_seconds_sum')).toBeCloseTo(0.3);
    expect(now.get('dockbridge_engine_event_lag_seconds_count')).toBe(2);
  });
});
