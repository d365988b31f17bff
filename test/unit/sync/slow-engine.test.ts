import type { EngineFacts } from '../../../src/store/records';
import { toFacts } from '../../../src/translate/shared/engine-facts';
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

const QUICK = {
  reconnect: 2,
  writePatience: 30,
  factsPatience: 30,
  probeTimeout: 200,
  imagePatience: 5,
  askBeside: 1e9,
};
const VERSION = { Version: '20.10.24', ApiVersion: '1.41', Os: 'linux', Arch: 'amd64' };
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
  it('is asked once, is not ready because of /info, and has its containers listed meanwhile', async () => {
    const info = gate();
    made.engine.gates.set('info', () => info.promise);
    made.link.start();
    await until(() => made.link.hasSynced);
    await made.link.whenSyncedOnce();
    expect(made.store.containers.size).toBe(1);
    expect(made.store.engineVersion).toBe('20.10.24');
    await until(() => JSON.stringify(made.link.state).includes('/info'));
    // Pods can be stopped, but not created.
    await made.link.whenConnected();
    expect(await rejectionOf(made.link.whenReady())).toMatch(/^UNAVAILABLE .*\/info/);
    expect(made.engine.count('info')).toBe(1);
    info.resolve();
    await isReady();
  });

  it('is asked once more when the first question gets no answer', async () => {
    const lost = gate();
    let asked = 0;
    made = syncRoom({ ...QUICK, askBeside: 5 });
    made.engine.gates.set('info', () => (asked++ === 0 ? lost.promise : Promise.resolve()));
    await connected(made);
    expect(made.engine.count('info')).toBe(2);
    expect(made.link.trouble).toBeUndefined();
  });

  it('is asked at growing intervals', async () => {
    const asked: number[] = [];
    made = syncRoom({ ...QUICK, askBeside: 5 });
    made.engine.gates.set('info', () => {
      asked.push(performance.now());
      return gate().promise;
    });
    made.link.start();
    await until(() => asked.length === 4);
    const [, , third = 0, fourth = 0] = asked;
    // 5 ms, 20 ms, 80 ms. A timer can be late, and early only by a fraction of a millisecond.
    expect(fourth - third).toBeGreaterThan(75);
  });

  it('is used with the facts of an earlier process, and this is reported', async () => {
    await connected(made);
    const said = made.store.engine!;
    await made.link.stop();
    const kept: EngineFacts[] = [];
    made = syncRoom(
      { ...QUICK, heartbeat: 3, askBeside: 5, recallAfter: 3 },
      {},
      undefined,
      {},
      {
        recall: () => Promise.resolve({ ...said, runtimes: ['old'] }),
        keep: (facts) => Promise.resolve(void kept.push(facts)),
      },
    );
    const info = gate();
    made.engine.gates.set('info', () => info.promise);
    await connected(made);
    expect(made.store.engine?.runtimes).toEqual(['old']);
    await until(() => made.link.trouble !== undefined);
    expect(made.link.trouble).toMatchObject({ isStuck: false, reason: 'DockerInfoHangs' });
    expect(made.complaints).toHaveLength(1);
    info.resolve();
    await until(() => made.link.trouble === undefined);
    expect(made.store.engine).toEqual(said);
    expect(kept).toEqual([said]);
  });

  it('is not used with the facts of another version', async () => {
    const recall = jest.fn(() =>
      Promise.resolve({ ...toFacts(VERSION, made.engine.facts), engineVersion: '19' }),
    );
    made = syncRoom({ ...QUICK, recallAfter: 1 }, {}, undefined, {}, { recall, keep: jest.fn() });
    const info = gate();
    made.engine.gates.set('info', () => info.promise);
    made.link.start();
    await until(() => recall.mock.calls.length > 0);
    await settle();
    expect(made.link.state.ready).toBe(false);
    info.resolve();
    await isReady();
  });

  it('is ready as soon as it answers, even if the disk with its earlier facts hangs', async () => {
    const recall = jest.fn(() => new Promise<undefined>(() => undefined));
    made = syncRoom({ ...QUICK, recallAfter: 1 }, {}, undefined, {}, { recall, keep: jest.fn() });
    const info = gate();
    made.engine.gates.set('info', () => info.promise);
    made.link.start();
    await until(() => recall.mock.calls.length > 0);
    info.resolve();
    await isReady();
  });

  it('is asked again by the heartbeat when the question failed', async () => {
    await connected(made);
    const said = made.store.engine!;
    await made.link.stop();
    made = syncRoom(
      { ...QUICK, heartbeat: 3, askBeside: 3, recallAfter: 5_000 },
      {},
      undefined,
      {},
      { recall: () => Promise.resolve(said), keep: () => Promise.resolve() },
    );
    let failures = 2;
    made.engine.gates.set('info', () =>
      failures-- > 0 ? Promise.reject(new Error('not now')) : Promise.resolve(),
    );
    await connected(made);
    await until(() => made.engine.count('info') >= 3 && made.link.trouble === undefined);
    expect(made.complaints).toHaveLength(1);
  });

  it('serves again after a cut of the event stream, with its earlier facts', async () => {
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
    // The first connection's question, and one that is still open.
    expect(made.engine.count('info')).toBe(2);
    expect(made.engine.subscribers).toBe(1);
  });
});

describe('an Engine whose images hang', () => {
  it.each(['listImages', `inspectImage ${IMAGE.Id}`])('serves pods nevertheless: %s', async (call) => {
    made.engine.images.set(IMAGE.Id, IMAGE);
    hang(call);
    await connected(made);
    expect(await rejectionOf(made.link.whenImagesSyncedOnce())).toMatch(/^UNAVAILABLE .*images/);
    // A finished pull reads its image without waiting for the list.
    made.engine.images.set('sha256:2', { ...IMAGE, Id: 'sha256:2', RepoTags: ['pulled:1'] });
    expect((await made.imageSync.refresh('pulled:1'))?.id).toBe('sha256:2');
  });

  it('keeps an image that was pulled after the request for a list', async () => {
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

it('the data of an event is requested again when the inspect failed', async () => {
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
  expect(made.complaints).toEqual(['Cannot apply an event of Docker Engine: not now']);
  expect(made.store.containers.get(CONTAINER_ID)?.resources.memoryLimit.toString()).not.toBe('67108864');
  // Each periodic comparison inspects the container again, because its list does not contain limits.
  await made.resync.run(false, new AbortController().signal);
  expect(made.store.containers.get(CONTAINER_ID)?.resources.memoryLimit.toString()).toBe('67108864');
});
