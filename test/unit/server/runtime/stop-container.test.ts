import Long from 'long';
import { EngineError } from '../../../../src/docker/errors';
import { stopContainer } from '../../../../src/server/runtime/stop-container';
import { ContainerSessions } from '../../../../src/containers/engine-ops';
import type { Services } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
import { lifeWith } from '../../support/fake-life';
import { gate, settle } from '../../support/async';
import { containerRecord, FINISHED, runningContainer } from '../../support/records';
import { decoded } from '../../support/wire';

const { signal } = new AbortController();
const RUNNING = runningContainer();
const EXITED = runningContainer({ state: 'exited', pid: 0, finishedAt: FINISHED });

/** @param end when the record says exited: with the answer to the stop, or with a later event. */
function room(
  record = RUNNING,
  stop: () => Promise<void> = () => Promise.resolve(),
  end: 'answer' | 'event' = 'answer',
  refresh: Promise<void> = Promise.resolve(),
) {
  const store = new WritableStore();
  const refreshed: string[] = [];
  store.containers.put(record);
  const graces: (number | 'killed')[] = [];
  const ending = async (how: number | 'killed'): Promise<void> => {
    graces.push(how);
    await stop();
    if (end === 'answer') store.containers.put(EXITED);
  };
  const docker = fakeDocker({
    stopContainer: (_id, graceSeconds) => ending(graceSeconds),
    killContainer: () => ending('killed'),
  });
  const life = lifeWith(store, docker, async (id) => {
    refreshed.push(id);
    await refresh;
    store.containers.delete(id);
  });
  const services = { store, sessions: new ContainerSessions(), docker, life } as unknown as Services;
  const request = (timeout: Long) =>
    stopContainer(services, decoded('StopContainerRequest', { container_id: record.id, timeout }), {
      signal,
    });
  return { store, life, graces, refreshed, request };
}

describe('StopContainer', () => {
  it.each([
    { asked: '1', given: 1 },
    { asked: '30', given: 30 },
    { asked: '3153600000', given: 365 * 24 * 3600 },
    { asked: '9223372036854775807', given: 365 * 24 * 3600 },
  ])('gives a container that may take $asked s to end $given s', async ({ asked, given }) => {
    const { graces, request } = room();
    await request(Long.fromString(asked));
    expect(graces).toEqual([given]);
  });

  it('kills a container that may take 0 s to end, without the stop signal', async () => {
    const { graces, store, request } = room();
    await request(Long.ZERO);
    expect([graces, store.containers.get(RUNNING.id)?.state]).toEqual([['killed'], 'exited']);
  });

  it('waits for a start that is under way, because a container that starts later would keep running', async () => {
    const { store, life, graces, request } = room(containerRecord());
    const started = gate();
    const start = life.withContainer(RUNNING.id, undefined, async () => {
      await started.promise;
      store.containers.put(RUNNING);
    });
    const stopped = request(Long.fromNumber(5));
    await settle();
    expect(graces).toEqual([]);
    started.resolve();
    await Promise.all([start, stopped]);
    expect(graces).toEqual([5]);
  });

  it.each([0, 5])('succeeds for a container that vanished meanwhile (timeout %i)', async (timeout) => {
    const gone = new EngineError('NOT_FOUND', 404, 'no such container');
    const { store, request } = room(RUNNING, () => Promise.reject(gone));
    await request(Long.fromNumber(timeout));
    expect(store.containers.get(RUNNING.id)).toBeUndefined();
  });

  it('returns once the record says exited, because the event may come after the answer to the stop', async () => {
    const { store, request } = room(RUNNING, () => Promise.resolve(), 'event');
    let returned = false;
    const stopped = request(Long.fromNumber(5)).then(() => (returned = true));
    await settle();
    expect(returned).toBe(false);
    // This change does not end the container.
    store.containers.put({ ...RUNNING, oomKilled: true });
    await settle();
    expect(returned).toBe(false);
    store.containers.put(EXITED);
    await stopped;
  });

  it('asks the Engine when no event comes, and returns once it has answered', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const answer = gate();
      const { store, refreshed, request } = room(RUNNING, () => Promise.resolve(), 'event', answer.promise);
      let returned = false;
      const stopped = request(Long.fromNumber(5)).then(() => (returned = true));
      await settle();
      await jest.advanceTimersByTimeAsync(999);
      expect(refreshed).toEqual([]);
      await jest.advanceTimersByTimeAsync(1);
      await settle();
      expect([refreshed, returned]).toEqual([[RUNNING.id], false]);
      answer.resolve();
      await stopped;
      expect(store.containers.get(RUNNING.id)).toBeUndefined();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});
