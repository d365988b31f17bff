import type { CallLanes } from '../../../src/docker/call-lanes';
import { statusReporter } from '../../../src/server/status-report';
import type { EngineFacts } from '../../../src/store/records';
import { WritableStore } from '../../../src/store/store';
import { imageRecord } from '../support/records';

const load = (lane: string, underWay: number, waiting: number) => ({
  ...{ lane, underWay, waiting, slow: 3, oldestWaitMs: 4_500, oldestCallMs: 5_500, oldestCall: 'GET /x' },
});

/** Most numbers differ, so that the test fails if the values of two fields are swapped. */
it('a status report has all its fields, with times in seconds', async () => {
  const store = new WritableStore();
  store.engine = { engineVersion: '28.5', apiVersion: '1.51', storageDriver: 'overlay2' } as EngineFacts;
  store.images.put(imageRecord());
  const before = process.uptime();
  const {
    uptime,
    process: own,
    ...rest
  } = await statusReporter({
    ...{ version: '1.2.3', store, fileLimit: 4_096 },
    link: { state: { ready: true }, stateAge: 61_500, trouble: undefined },
    lanes: {
      load: [load('read', 1, 2), load('write', 0, 0), load('stop', 0, 7)],
    } as unknown as CallLanes,
    logs: {
      stats: () =>
        Promise.resolve({
          ...{ followed: 21, lagBytes: 22, largestLagBytes: 23, records: 24 },
          ...{ bytes: 25, gaps: 26, unreadable: 27, stalls: 28 },
        }),
    },
    network: {
      condition: () => ({ ready: true, reason: 'r', message: 'm' }),
      heldSandboxes: () => ['gone', 'too'],
    },
    pluginFailures: () => Promise.resolve({ 'bridge ADD': 9 }),
    podEvents: { stats: { consumers: 11 } },
    streaming: { sessionCount: 12 },
    calls: () => [{ name: 'PullImage', age: 1_250, about: { image: 'busybox' } }],
    gate: { closedFor: undefined },
  })();
  expect(rest).toEqual({
    ...{ version: '1.2.3', pid: process.pid, refuses: '' },
    engine: {
      ...{ state: 'connected', reason: '', since: 61.5 },
      ...{ version: '28.5', apiVersion: '1.51', storageDriver: 'overlay2' },
    },
    network: { ready: true, reason: 'r', message: 'm', left: 2, failures: { 'bridge ADD': 9 } },
    logs: expect.objectContaining({
      ...{ trouble: '', followed: 21, lagBytes: 22, gaps: 26, unreadable: 27, stalls: 28 },
    }) as object,
    sandboxes: { ready: 0, notready: 0 },
    containers: { created: 0, running: 0, exited: 0, unknown: 0 },
    ...{ images: 1, sessions: 12, eventConsumers: 11 },
    calls: {
      inFlight: 1,
      oldest: [{ method: 'PullImage', age: 1.25, about: { image: 'busybox' } }],
      engine: [
        {
          lane: 'read',
          underWay: 1,
          slow: 3,
          waiting: 2,
          oldestWait: 4.5,
          oldestCall: { what: 'GET /x', age: 5.5 },
        },
        {
          lane: 'stop',
          underWay: 0,
          slow: 3,
          waiting: 7,
          oldestWait: 4.5,
          oldestCall: { what: 'GET /x', age: 5.5 },
        },
      ],
    },
  });
  expect(uptime).toBeGreaterThanOrEqual(before);
  expect(own).toEqual({
    residentBytes: expect.any(Number) as number,
    openFiles: expect.any(Number) as number,
    fileLimit: 4_096,
  });
  expect(own.openFiles).toBeGreaterThan(3);
});
