import { CallLanes } from '../../../src/docker/call-lanes';
import { statusReporter, type StatusSources } from '../../../src/server/status-report';
import { WritableStore } from '../../../src/store/store';
import { gate } from '../support/async';
import { LOG_STATS } from '../support/log-stats';
import { containerRecord, engineId, runningContainer, sandboxRecord } from '../support/records';

function sources(more: Partial<StatusSources> = {}): StatusSources {
  return {
    version: '1.2.3',
    store: new WritableStore(),
    link: { state: { ready: true }, stateAge: 61_500, trouble: undefined },
    lanes: new CallLanes(),
    logs: { stats: () => Promise.resolve(LOG_STATS) },
    network: { condition: () => ({ ready: true, reason: '', message: '' }), heldSandboxes: () => [] },
    pluginFailures: () => Promise.resolve({}),
    podEvents: { stats: { consumers: 1 } },
    streaming: { sessionCount: 5 },
    calls: () => [],
    gate: { closedFor: undefined },
    fileLimit: 4_096,
    ...more,
  };
}

const reportOf = (more: Partial<StatusSources> = {}) => statusReporter(sources(more))();

describe('the status of a daemon', () => {
  it('counts objects by state', async () => {
    const store = new WritableStore();
    store.sandboxes.put(sandboxRecord());
    store.sandboxes.put(sandboxRecord({ id: engineId('a2'), engineName: 'two', networkReady: false }));
    store.containers.put(runningContainer());
    store.containers.put(containerRecord({ id: engineId('c2'), engineName: 'c2', state: 'unknown' }));
    expect(await reportOf({ store })).toMatchObject({
      version: '1.2.3',
      pid: process.pid,
      sandboxes: { ready: 1, notready: 1 },
      containers: { created: 0, running: 1, exited: 0, unknown: 1 },
      logs: { trouble: '', lagBytes: 300, gaps: 1 },
      process: { fileLimit: 4_096 },
    });
  });

  it.each([
    ['connected', { ready: true }, undefined, ''],
    ['slow', { ready: true }, { isStuck: false, reason: 'DockerDaemonSlow', message: 'late' }, 'late'],
    ['stuck', { ready: true }, { isStuck: true, reason: 'DockerNetworksHang', message: 'hung' }, 'hung'],
    ['away', { ready: false, reason: 'refused' }, undefined, 'refused'],
  ] as const)('says that the Engine is %s, why, and for how long', async (state, link, trouble, reason) => {
    const { engine } = await reportOf({ link: { state: link, stateAge: 61_500, trouble } });
    expect(engine).toMatchObject({ state, reason, since: 61.5, version: '' });
  });

  it('shows the oldest calls, except the event stream, which lasts as long as kubelet wants', async () => {
    const call = (name: string, age: number, about = {}) => ({ name, age, about });
    const many = Array.from({ length: 30 }, (_, at) =>
      call('RunPodSandbox', 5_000 - at, { pod: `ns/${at}` }),
    );
    const { calls } = await reportOf({
      calls: () => [
        call('GetContainerEvents', 9_000_000),
        call('PullImage', 60_000, { image: 'x'.repeat(9_999) }),
        ...many,
      ],
    });
    expect(calls.inFlight).toBe(31);
    expect(calls.oldest).toHaveLength(20);
    expect(calls.oldest[0]).toEqual({ method: 'PullImage', age: 60, about: { image: 'x'.repeat(253) } });
    expect(calls.oldest[1]).toEqual({ method: 'RunPodSandbox', age: 5, about: { pod: 'ns/0' } });
  });

  it('shows the calls to the Engine by kind', async () => {
    const lanes = new CallLanes();
    const slow = gate();
    const call = { lane: 'stop', container: 'c1', what: 'POST /containers/c1/stop' } as const;
    const stopping = lanes.run(call, new AbortController().signal, () => slow.promise);
    const { calls } = await reportOf({ lanes });
    expect(calls.engine).toEqual([
      {
        ...{ lane: 'stop', underWay: 1, slow: 0, waiting: 0, oldestWait: 0 },
        oldestCall: { what: 'POST /containers/c1/stop', age: expect.any(Number) as number },
      },
    ]);
    slow.resolve();
    await stopping;
  });

  it('reports problems of the network, and networks of pods that are gone', async () => {
    const store = new WritableStore();
    store.sandboxes.put(sandboxRecord());
    const { network } = await reportOf({
      store,
      network: {
        condition: () => ({ ready: false, reason: 'NetworkPluginNotReady', message: 'no configuration' }),
        heldSandboxes: () => [sandboxRecord().id, engineId('dead')],
      },
      pluginFailures: () => Promise.resolve({ 'bridge ADD': 3 }),
    });
    expect(network).toEqual({
      ...{ ready: false, reason: 'NetworkPluginNotReady', message: 'no configuration' },
      ...{ left: 1, failures: { 'bridge ADD': 3 } },
    });
  });

  it('omits the counters of logs that do not answer, and reports their problem', async () => {
    const trouble = { reason: 'LogsHang', message: 'the disk hangs' };
    const { logs } = await reportOf({ logs: { trouble, stats: () => Promise.reject(new Error('closed')) } });
    expect(logs).toEqual({ trouble: 'the disk hangs' });
  });

  it('says that new calls are refused', async () => {
    expect((await reportOf({ gate: { closedFor: 'the node was handed over' } })).refuses).toBe(
      'the node was handed over',
    );
  });

  it('is computed once for simultaneous callers', async () => {
    let asked = 0;
    const report = statusReporter(
      sources({ pluginFailures: () => Promise.resolve({ 'bridge ADD': ++asked }) }),
    );
    const [one, two] = await Promise.all([report(), report()]);
    expect([one.network.failures, two]).toEqual([{ 'bridge ADD': 1 }, one]);
    await report();
    expect(asked).toBe(2);
  });
});
