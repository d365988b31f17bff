import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import {
  connected,
  CONTAINER_ID,
  containerEvent,
  containerInspect,
  syncRoom,
  type SyncRoom,
} from './support/room';

const QUICK = { reconnect: 2, writePatience: 30, factsPatience: 30, probeTimeout: 200, imagePatience: 5 };
const IMAGE = { Id: 'sha256:1', RepoTags: ['app:1'], RepoDigests: [], Size: 1 };
let made: SyncRoom;

beforeEach(() => {
  made = syncRoom(QUICK);
  made.engine.containers.set(CONTAINER_ID, containerInspect());
});
afterEach(() => made.link.stop());

const hang = (method: string): void => void made.engine.gates.set(method, () => gate().promise);
const isReady = (): Promise<void> => until(() => made.link.state.ready, 'the link');

describe('an Engine whose /info hangs', () => {
  it('is asked once, says why it is not ready, and lists its containers meanwhile', async () => {
    const info = gate();
    made.engine.gates.set('info', () => info.promise);
    made.link.start();
    await until(() => made.link.hasSynced);
    await made.link.whenSyncedOnce();
    expect(made.store.containers.size).toBe(1);
    expect(made.store.engineVersion).toBe('20.10.24');
    await until(() => JSON.stringify(made.link.state).includes('/info'));
    // Pods can be stopped, but not made.
    await made.link.whenConnected();
    expect(await rejectionOf(made.link.whenReady())).toMatch(/^UNAVAILABLE .*\/info/);
    expect(made.engine.count('info')).toBe(1);
    info.resolve();
    await isReady();
  });

  it('serves again after a cut of the event stream, on what it said before', async () => {
    await connected(made);
    hang('info');
    for (let cut = 0; cut < 3; cut++) {
      const times = made.engine.count('listContainers');
      made.engine.stop();
      await until(() => !made.link.state.ready);
      expect(await rejectionOf(made.link.whenConnected())).toMatch(/^UNAVAILABLE/);
      made.engine.start();
      await until(() => made.engine.count('listContainers') > times && made.link.state.ready);
    }
    // The first connection's, and one that is still open.
    expect(made.engine.count('info')).toBe(2);
    expect(made.engine.subscribers).toBe(1);
  });
});

describe('an Engine whose images hang', () => {
  it.each(['listImages', `inspectImage ${IMAGE.Id}`])('%s: serves pods all the same', async (call) => {
    made.engine.images.set(IMAGE.Id, IMAGE);
    hang(call);
    await connected(made);
    expect(await rejectionOf(made.link.whenImagesSyncedOnce())).toMatch(/^UNAVAILABLE .*images/);
    // What a pull ends with waits for nobody.
    made.engine.images.set('sha256:2', { ...IMAGE, Id: 'sha256:2', RepoTags: ['pulled:1'] });
    expect((await made.imageSync.refresh('pulled:1'))?.id).toBe('sha256:2');
  });

  it('a list that was asked for before does not take away what was pulled since', async () => {
    const listed = gate();
    await connected(made);
    let held = true;
    made.engine.gates.set('listImages', async () => {
      if (held) await listed.promise;
    });
    const resync = made.imageSync.resync();
    await settle();
    made.engine.images.set(IMAGE.Id, IMAGE);
    await made.imageSync.refresh('app:1');
    made.engine.images.delete(IMAGE.Id);
    held = false;
    listed.resolve();
    await resync;
    expect(made.store.images.get(IMAGE.Id)).toBeDefined();
  });
});

it('what an event would have told is asked for again when the inspect failed', async () => {
  await connected(made);
  made.engine.containers.set(CONTAINER_ID, {
    ...containerInspect(),
    HostConfig: { Memory: 64 << 20 },
  });
  let failures = 1;
  made.engine.gates.set('inspectContainer', () =>
    failures-- > 0 ? Promise.reject(new Error('not now')) : Promise.resolve(),
  );
  await made.told(containerEvent('update'));
  expect(made.complaints).toEqual(['Engine event could not be applied: not now']);
  expect(made.store.containers.get(CONTAINER_ID)?.resources.memoryLimit.toString()).not.toBe('67108864');
  // What each periodic comparison does: its list says nothing of limits.
  await made.resync.run(false, new AbortController().signal);
  expect(made.store.containers.get(CONTAINER_ID)?.resources.memoryLimit.toString()).toBe('67108864');
});
