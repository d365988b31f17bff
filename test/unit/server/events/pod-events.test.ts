import { ContainerEventType, ContainerState, PodSandboxState } from '../../../../src/proto/enums';
import { PodEvents, RisingClock } from '../../../../src/server/events/pod-events';
import { WritableStore } from '../../../../src/store/store';
import { type PodEvent, toCriEvent } from '../../../../src/translate/shared/lifecycle';
import { rejectionOf } from '../../support/errors';
import {
  containerRecord,
  engineId,
  FINISHED,
  imageRecord,
  runningContainer,
  sandboxRecord,
} from '../../support/records';

const SANDBOX = sandboxRecord();
const [APP, SIDECAR] = [engineId('c1'), engineId('c2')];
const { CONTAINER_CREATED_EVENT, CONTAINER_STARTED_EVENT, CONTAINER_STOPPED_EVENT, CONTAINER_DELETED_EVENT } =
  ContainerEventType;
const { signal } = new AbortController();

function room() {
  const store = new WritableStore();
  const events = new PodEvents(store);
  return { store, events };
}

async function take(events: { next(signal: AbortSignal): Promise<PodEvent> }, count: number) {
  const taken: PodEvent[] = [];
  while (taken.length < count) taken.push(await events.next(signal));
  return taken;
}

const container = (id: string, more = {}) => runningContainer({ id, engineName: id, ...more });

describe('PodEvents', () => {
  it('follow a pod from its creation to its removal, with the state of each moment', async () => {
    const { store, events } = room();
    const reader = events.subscribe();
    store.images.put(imageRecord());
    store.sandboxes.put(SANDBOX);
    store.containers.put(containerRecord({ id: APP }));
    store.containers.put(container(APP));
    store.containers.put(container(SIDECAR));
    store.containers.put(container(APP, { state: 'exited', exitCode: 3, finishedAt: FINISHED, pid: 0 }));
    store.containers.delete(APP);
    store.sandboxes.put({ ...SANDBOX, networkReady: false, ips: [] });
    store.sandboxes.put({ ...SANDBOX, networkReady: false, ips: [], state: 'exited', pid: 0 });
    store.containers.delete(SIDECAR);
    store.sandboxes.delete(SANDBOX.id);
    const told = (await take(reader, 12)).map((event) => toCriEvent(event, (id) => store.images.get(id)));
    const { SANDBOX_READY, SANDBOX_NOTREADY } = PodSandboxState;
    const [created, running, exited] = [
      ContainerState.CONTAINER_CREATED,
      ContainerState.CONTAINER_RUNNING,
      ContainerState.CONTAINER_EXITED,
    ];
    expect(
      told.map((event) => [
        event.container_id,
        event.container_event_type,
        event.pod_sandbox_status?.state,
        event.containers_statuses?.map(({ id, state }) => `${id?.slice(0, 2) ?? ''} ${state ?? ''}`),
      ]),
    ).toEqual([
      [SANDBOX.id, CONTAINER_CREATED_EVENT, SANDBOX_READY, []],
      [SANDBOX.id, CONTAINER_STARTED_EVENT, SANDBOX_READY, []],
      [APP, CONTAINER_CREATED_EVENT, SANDBOX_READY, [`c1 ${created}`]],
      [APP, CONTAINER_STARTED_EVENT, SANDBOX_READY, [`c1 ${running}`]],
      [SIDECAR, CONTAINER_CREATED_EVENT, SANDBOX_READY, [`c1 ${running}`, `c2 ${running}`]],
      [SIDECAR, CONTAINER_STARTED_EVENT, SANDBOX_READY, [`c1 ${running}`, `c2 ${running}`]],
      [APP, CONTAINER_STOPPED_EVENT, SANDBOX_READY, [`c1 ${exited}`, `c2 ${running}`]],
      [APP, CONTAINER_DELETED_EVENT, SANDBOX_READY, [`c2 ${running}`]],
      [SANDBOX.id, CONTAINER_STOPPED_EVENT, SANDBOX_NOTREADY, [`c2 ${running}`]],
      [SIDECAR, CONTAINER_STOPPED_EVENT, SANDBOX_NOTREADY, []],
      [SIDECAR, CONTAINER_DELETED_EVENT, SANDBOX_NOTREADY, []],
      [SANDBOX.id, CONTAINER_DELETED_EVENT, SANDBOX_NOTREADY, []],
    ]);
    expect(told[6]?.containers_statuses?.[0]).toMatchObject({
      exit_code: 3,
      reason: 'Error',
      image: { image: 'busybox' },
    });
    // kubelet removes the pod's status from its cache by this sandbox id.
    expect(told[11]?.pod_sandbox_status).toMatchObject({ id: SANDBOX.id, metadata: SANDBOX.metadata });
    const times = told.map(({ created_at }) => BigInt(String(created_at)));
    expect(times).toEqual([...times].sort((one, other) => (one < other ? -1 : 1)));
    expect(new Set(times).size).toBe(times.length);
  });

  it('include a container whose sandbox is already gone', async () => {
    const { store, events } = room();
    store.containers.put(container(APP));
    const reader = events.subscribe();
    store.containers.delete(APP);
    const [stopped, deleted] = await take(reader, 2);
    expect([stopped, deleted].map((event) => event && toCriEvent(event, () => undefined))).toEqual([
      expect.objectContaining({ container_id: APP, pod_sandbox_status: null }),
      expect.objectContaining({ container_id: APP, pod_sandbox_status: null }),
    ]);
  });

  it('are not published without readers, and the stats count the readers', () => {
    const { store, events } = room();
    store.sandboxes.put(SANDBOX);
    expect(events.stats).toEqual({ published: 0, consumers: 0, cutOff: 0, backlog: 0 });
    const reader = events.subscribe();
    store.containers.put(container(APP));
    expect(events.stats).toEqual({ published: 2, consumers: 1, cutOff: 0, backlog: 2 });
    reader.close();
    expect(events.stats.consumers).toBe(0);
  });

  it('end for a consumer that stalls, and stay complete for the others', async () => {
    const store = new WritableStore();
    const events = new PodEvents(store, 100);
    const stalled = events.subscribe();
    const quick = events.subscribe();
    const taken: string[] = [];
    for (let at = 0; at < 101; at++) {
      store.containers.put(containerRecord({ id: `id-${at}`, engineName: `c${at}` }));
      if (at < 50) taken.push((await quick.next(signal)).containerId);
    }
    expect(events.stats).toMatchObject({ consumers: 1, cutOff: 1, backlog: 51 });
    expect(await rejectionOf(stalled.next(signal))).toMatch(/^RESOURCE_EXHAUSTED/);
    for (const { containerId } of await take(quick, 51)) taken.push(containerId);
    expect(taken).toEqual(Array.from({ length: 101 }, (_, at) => `id-${at}`));
  });
});

it('the time of events rises even within a millisecond and when the clock is set back', () => {
  const times = [10, 10, 9, 11];
  const clock = new RisingClock(() => times.shift() ?? 0);
  expect([clock.now(), clock.now(), clock.now(), clock.now()]).toEqual([
    10_000_000n,
    10_000_001n,
    10_000_002n,
    11_000_000n,
  ]);
});
