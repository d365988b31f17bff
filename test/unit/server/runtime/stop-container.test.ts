import Long from 'long';
import { EngineError } from '../../../../src/docker/errors';
import { KeyedLock } from '../../../../src/lib/keyed-lock';
import { stopContainer } from '../../../../src/server/runtime/stop-container';
import { ContainerSessions } from '../../../../src/server/exec/container-sessions';
import type { Services } from '../../../../src/server/services';
import { Store } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate, settle } from '../../support/async';
import { containerRecord, FINISHED, runningContainer } from '../../support/records';
import { decoded } from '../../support/wire';

const { signal } = new AbortController();
const RUNNING = runningContainer();
const EXITED = runningContainer({ state: 'exited', pid: 0, finishedAt: FINISHED });

function room(record = RUNNING, stop: () => Promise<void> = () => Promise.resolve()) {
  const store = new Store();
  store.containers.put(record);
  const graces: number[] = [];
  const lock = new KeyedLock();
  const services = {
    store,
    sessions: new ContainerSessions(),
    docker: fakeDocker({
      stopContainer: async (_id, graceSeconds) => {
        graces.push(graceSeconds);
        await stop();
        store.containers.put(EXITED);
      },
    }),
    containerSync: {
      lock,
      refresh: (id: string) => {
        store.containers.delete(id);
        return Promise.resolve();
      },
    },
  } as unknown as Services;
  const request = (timeout: Long) =>
    stopContainer(services, decoded('StopContainerRequest', { container_id: record.id, timeout }), {
      signal,
    });
  return { store, lock, graces, request };
}

describe('StopContainer', () => {
  it.each([
    { asked: '0', given: 0 },
    { asked: '30', given: 30 },
    { asked: '3153600000', given: 365 * 24 * 3600 },
    { asked: '9223372036854775807', given: 365 * 24 * 3600 },
  ])('gives a container that may take $asked s to end $given s', async ({ asked, given }) => {
    const { graces, request } = room();
    await request(Long.fromString(asked));
    expect(graces).toEqual([given]);
  });

  it('waits for a start that is under way: what starts after its stop would run on', async () => {
    const { store, lock, graces, request } = room(containerRecord());
    const started = gate();
    const start = lock.run(RUNNING.id, async () => {
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

  it('succeeds for one that vanished meanwhile', async () => {
    const gone = new EngineError('NOT_FOUND', 404, 'no such container');
    const { store, request } = room(RUNNING, () => Promise.reject(gone));
    await request(Long.fromNumber(5));
    expect(store.containers.get(RUNNING.id)).toBeUndefined();
  });
});
