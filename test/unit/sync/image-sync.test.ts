import { sharedAbortController } from '../../../src/lib/async/deadline';
import { unavailable } from '../../../src/lib/errors';
import type { EngineImageInspect } from '../../../src/engine/types';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { engineId } from '../support/records';
import { syncRoom } from './support/room';

const { signal } = sharedAbortController();
const image = (start: string, ...RepoTags: string[]): EngineImageInspect => ({
  Id: `sha256:${engineId(start)}`,
  RepoTags,
  RepoDigests: [],
  Size: 10,
});
const [A, B] = [image('a', 'app:1'), image('b', 'db:1')];

function roomWith(...images: EngineImageInspect[]) {
  const room = syncRoom();
  for (const one of images) room.engine.images.set(one.Id, one);
  return room;
}

describe('the resync of images', () => {
  it('reads all images, and later only those that have changed', async () => {
    const { imageSync, engine, store } = roomWith(A, B);
    await imageSync.resync(signal);
    expect([...store.images.values()].map(({ id }) => id)).toEqual([A.Id, B.Id]);
    engine.calls.length = 0;
    await imageSync.resync(signal);
    expect(engine.calls).toEqual(['listImages']);
    engine.images.set(A.Id, { ...A, RepoTags: ['app:1', 'app:2'] });
    await imageSync.resync(signal);
    expect(engine.calls.slice(1)).toEqual(['listImages', `inspectImage ${A.Id}`]);
    expect(store.images.byName('app:2')?.id).toBe(A.Id);
  });

  it.each([
    { desc: 'lost its tag', now: { ...A, RepoTags: [] } },
    { desc: 'null in place of names', now: { ...A, RepoTags: null, RepoDigests: null } },
    { desc: 'only <none>', now: { ...A, RepoTags: ['<none>:<none>'] } },
  ])('removes the name of an image that has $desc', async ({ now }) => {
    const { imageSync, engine, store } = roomWith(A);
    await imageSync.resync(signal);
    engine.images.set(A.Id, now);
    await imageSync.resync(signal);
    expect([store.images.byName('app:1'), store.images.size]).toEqual([undefined, 1]);
    engine.calls.length = 0;
    await imageSync.resync(signal);
    expect(engine.calls).toEqual(['listImages']);
  });

  it('forgets images that are not listed', async () => {
    const { imageSync, engine, store } = roomWith(A, B);
    await imageSync.resync(signal);
    engine.images.delete(A.Id);
    await imageSync.resync(signal);
    expect([...store.images.values()].map(({ id }) => id)).toEqual([B.Id]);
  });

  it('ignores an image that is removed between list and inspect', async () => {
    const { imageSync, engine, store } = roomWith(A, B);
    engine.gates.set(`inspectImage ${A.Id}`, () => {
      engine.images.delete(A.Id);
      return Promise.resolve();
    });
    await imageSync.resync(signal);
    expect([...store.images.values()].map(({ id }) => id)).toEqual([B.Id]);
  });

  it('does not undo a pull with a list that was requested earlier', async () => {
    const { imageSync, engine, store } = roomWith(A);
    const listed = gate();
    engine.gates.set('listImages', () => listed.promise);
    const resyncing = imageSync.resync(signal);
    await until(() => engine.count('listImages') === 1);
    const pulled = imageSync.refresh('db:1', signal);
    await settle();
    engine.images.set(B.Id, B);
    listed.resolve();
    await Promise.all([resyncing, pulled]);
    expect(store.images.byName('db:1')?.id).toBe(B.Id);
  });
});

describe('the inspect of an image during a list that lacks it', () => {
  /** @returns the result of the inspect, and whether the image is known afterwards. */
  const look = async (isThere: boolean): Promise<unknown[]> => {
    const { imageSync, engine, store } = roomWith(A);
    await imageSync.resync(signal);
    engine.images.delete(A.Id);
    const [listed, inspected] = [gate(), gate()];
    engine.gates.set('listImages', () => listed.promise);
    engine.gates.set('inspectImage app:1', () => inspected.promise);
    const resyncing = imageSync.resync(signal);
    await until(() => engine.count('listImages') === 2);
    const looking = imageSync.refresh('app:1', signal);
    await until(() => engine.count('inspectImage') === 2);
    listed.resolve();
    await resyncing;
    if (isThere) engine.images.set(A.Id, A);
    inspected.resolve();
    return [(await looking)?.id, store.images.size];
  };

  it('finds an image that was pulled in the meantime', async () => {
    expect(await look(true)).toEqual([A.Id, 1]);
  });

  it('does not find an image that is gone', async () => {
    expect(await look(false)).toEqual([undefined, 0]);
  });
});

describe('refresh', () => {
  it('reads one image by name, and forget removes its record', async () => {
    const { imageSync, engine, store } = roomWith(A, B);
    expect((await imageSync.refresh('db:1', signal))?.id).toBe(B.Id);
    expect([engine.calls, store.images.size]).toEqual([['inspectImage db:1'], 1]);
    imageSync.forget(B.Id);
    expect(store.images.size).toBe(0);
  });

  it('returns undefined for a missing image, and passes a failure on', async () => {
    const { imageSync, engine } = roomWith();
    expect(await imageSync.refresh('x:1', signal)).toBeUndefined();
    engine.down = true;
    expect(await rejectionOf(imageSync.refresh('x:1', signal))).toMatch(/^UNAVAILABLE/);
  });
});

describe('requestResync', () => {
  it('makes at most two lists for a burst, with the result of the last event', async () => {
    const { imageSync, engine, store } = roomWith(A);
    const listed = gate();
    engine.gates.set('listImages', () => listed.promise);
    for (let event = 0; event < 50; event++) imageSync.requestResync(signal);
    await until(() => engine.count('listImages') === 1);
    for (let event = 0; event < 50; event++) imageSync.requestResync(signal);
    listed.resolve();
    await until(() => engine.count('listImages') === 2);
    engine.images.set(B.Id, B);
    await until(() => store.images.size === 2);
    await settle();
    expect(engine.count('listImages')).toBe(2);
  });

  it('does not lose a request that comes just when the list ends', async () => {
    const { imageSync, engine } = roomWith();
    for (let delay = 0; delay < 60; delay++) {
      engine.calls.length = 0;
      const listed = gate();
      engine.gates.set('listImages', () => listed.promise);
      imageSync.requestResync(signal);
      await settle();
      // The cases together hit each microtask between the answer and the end of the following work.
      listed.resolve();
      for (let microtask = 0; microtask < delay; microtask++) await Promise.resolve();
      imageSync.requestResync(signal);
      await settle();
      await settle();
      expect([delay, engine.count('listImages')]).toEqual([delay, 2]);
    }
  });

  it('retries a failed list as long as its connection lasts', async () => {
    const { imageSync, engine, store, complaints } = roomWith(A);
    let failures = 1;
    engine.gates.set('listImages', () =>
      failures-- > 0 ? Promise.reject(new Error('busy')) : Promise.resolve(),
    );
    imageSync.requestResync(signal);
    await until(() => store.images.size === 1);
    expect(complaints).toEqual(['Cannot list images; retrying: busy']);
    engine.down = true;
    const controller = new AbortController();
    imageSync.requestResync(controller.signal);
    await until(() => complaints.length === 2);
    controller.abort(new Error('lost'));
    engine.down = false;
    await settle();
    engine.images.set(B.Id, B);
    imageSync.requestResync(signal);
    await until(() => store.images.size === 2);
  });

  it('waits at growing intervals between failed lists, and starts again after a success', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    try {
      const { imageSync, engine } = roomWith(A);
      const connection = new AbortController();
      let failures = 4;
      engine.gates.set('listImages', () => {
        if (failures-- > 0) return Promise.reject(new Error('busy'));
        // One list succeeds, during which an image changes, and then one more fails.
        failures = 1;
        imageSync.requestResync(connection.signal);
        return Promise.resolve();
      });
      const isListedAfter = async (ms: number, lists = 1): Promise<void> => {
        const before = engine.count('listImages');
        await jest.advanceTimersByTimeAsync(ms - 1);
        await settle();
        expect(engine.count('listImages')).toBe(before);
        await jest.advanceTimersByTimeAsync(1);
        await settle();
        expect(engine.count('listImages')).toBe(before + lists);
      };
      imageSync.requestResync(connection.signal);
      await settle();
      for (const ms of [200, 1_000, 5_000]) await isListedAfter(ms);
      await isListedAfter(5_000, 2);
      await isListedAfter(200, 2);
      connection.abort(new Error('lost'));
      await settle();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('the first list of images', () => {
  it('is awaited by callers until they leave', async () => {
    const { imageSync, engine } = roomWith(A);
    const listed = gate();
    engine.gates.set('listImages', () => listed.promise);
    expect(imageSync.hasListed).toBe(false);
    const left = new AbortController();
    const leaving = imageSync.whenListed(left.signal);
    let known = false;
    const waiting = imageSync.whenListed(signal).then(() => (known = true));
    imageSync.requestResync(signal);
    await settle();
    expect(known).toBe(false);
    left.abort(new Error('left'));
    await expect(leaving).rejects.toThrow('left');
    listed.resolve();
    await waiting;
    expect(imageSync.hasListed).toBe(true);
    await imageSync.whenListed(AbortSignal.abort(new Error('whatever')));
  });

  it('is complete only when all images were inspected', async () => {
    const { imageSync, engine } = roomWith(A, B);
    const inspected = gate();
    engine.gates.set(`inspectImage ${B.Id}`, () => inspected.promise);
    const resyncing = imageSync.resync(signal);
    await until(() => engine.count('inspectImage') === 2);
    await settle();
    expect(imageSync.hasListed).toBe(false);
    inspected.resolve();
    await resyncing;
    expect(imageSync.hasListed).toBe(true);
  });
});

describe('an image that cannot be inspected', () => {
  const fails = (): Promise<void> => Promise.reject(new Error('layer is damaged'));

  it('hides no other, is logged once, and is tried again after each list', async () => {
    const { imageSync, engine, store, complaints } = roomWith(A, B);
    engine.gates.set(`inspectImage ${A.Id}`, fails);
    for (let list = 0; list < 2; list++) await imageSync.resync(signal);
    expect([...store.images.values()].map(({ id }) => id)).toEqual([B.Id]);
    expect(engine.calls.filter((call) => call === `inspectImage ${A.Id}`)).toHaveLength(2);
    expect(complaints).toEqual(['Cannot inspect an image: layer is damaged']);
    engine.gates.clear();
    await imageSync.resync(signal);
    expect(store.images.size).toBe(2);
    // A new failure of the image is logged again.
    engine.images.set(A.Id, { ...A, RepoTags: ['app:2'] });
    engine.gates.set(`inspectImage ${A.Id}`, fails);
    await imageSync.resync(signal);
    expect(complaints).toHaveLength(2);
  });

  it('is logged again when it was gone meanwhile', async () => {
    const { imageSync, engine, complaints } = roomWith(A);
    engine.gates.set(`inspectImage ${A.Id}`, fails);
    await imageSync.resync(signal);
    engine.images.delete(A.Id);
    await imageSync.resync(signal);
    engine.images.set(A.Id, A);
    await imageSync.resync(signal);
    expect(complaints).toHaveLength(2);
  });

  it('fails the list if the Engine or the connection is lost', async () => {
    const { imageSync, engine, complaints } = roomWith(A);
    engine.gates.set(`inspectImage ${A.Id}`, () => Promise.reject(unavailable('refused')));
    expect(await rejectionOf(imageSync.resync(signal))).toBe('UNAVAILABLE refused');
    const connection = new AbortController();
    engine.gates.set(`inspectImage ${A.Id}`, () => {
      connection.abort(new Error('lost'));
      return fails();
    });
    await expect(imageSync.resync(connection.signal)).rejects.toThrow('lost');
    expect([complaints, imageSync.hasListed]).toEqual([[], false]);
  });

  it.each([
    ['listImages', 30_000, 'The list of images took longer than 30000 ms'],
    [`inspectImage ${A.Id}`, 10_000, 'Inspecting an image took longer than 10000 ms'],
  ])('is given up after its time limit, as a list is: %s', async (call, ms, why) => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const { imageSync, engine, complaints } = roomWith(A);
      engine.gates.set(call, () => gate().promise);
      let outcome: string | undefined;
      const isList = call === 'listImages';
      void (isList ? rejectionOf(imageSync.resync(signal)) : imageSync.resync(signal)).then(
        (told) => (outcome = told ?? ''),
      );
      await until(() => engine.calls.includes(call));
      await jest.advanceTimersByTimeAsync(ms - 1);
      await settle();
      expect(outcome).toBeUndefined();
      await jest.advanceTimersByTimeAsync(1);
      await until(() => outcome !== undefined, 'the end');
      expect([outcome, complaints]).toEqual(
        isList ? [`DEADLINE_EXCEEDED ${why}`, []] : ['', [`Cannot inspect an image: ${why}`]],
      );
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});

it('eight images are inspected at a time', async () => {
  const room = roomWith(...Array.from({ length: 20 }, (_, at) => image(`${at}f`)));
  const inspected = gate();
  room.engine.gates.set('inspectImage', () => inspected.promise);
  const resyncing = room.imageSync.resync(signal);
  await until(() => room.engine.count('inspectImage') >= 8);
  await settle();
  expect(room.engine.count('inspectImage')).toBe(8);
  inspected.resolve();
  await resyncing;
  expect(room.store.images.size).toBe(20);
});

it('an image is inspected again when only its digests have changed', async () => {
  const { imageSync, engine, store } = roomWith({ ...A, RepoDigests: [] });
  await imageSync.resync(signal);
  const RepoDigests = [`app@sha256:${engineId('d')}`];
  engine.images.set(A.Id, { ...A, RepoDigests });
  await imageSync.resync(signal);
  expect(store.images.get(A.Id)?.repoDigests).toEqual(RepoDigests);
  engine.images.set(A.Id, { ...A, RepoDigests: [`app@sha256:${engineId('e')}`] });
  await imageSync.resync(signal);
  expect(store.images.get(A.Id)?.repoDigests).toEqual([`app@sha256:${engineId('e')}`]);
  engine.calls.length = 0;
  await imageSync.resync(signal);
  expect(engine.calls).toEqual(['listImages']);
});

describe('the inspect of one image', () => {
  it('does not replace newer data, and ends with its caller', async () => {
    const { imageSync, engine, store } = roomWith(A);
    const slow = gate();
    engine.gates.set('inspectImage app:1', () => slow.promise);
    const older = imageSync.refresh('app:1', signal);
    await until(() => engine.count('inspectImage') === 1);
    const newer = { ...A, RepoTags: ['app:1', 'app:2'] };
    engine.images.set(A.Id, newer);
    await imageSync.refresh(A.Id, signal);
    engine.images.set(A.Id, A);
    slow.resolve();
    expect((await older)?.repoTags).toEqual(['app:1', 'app:2']);
    expect(store.images.get(A.Id)?.repoTags).toEqual(['app:1', 'app:2']);
    const left = AbortSignal.abort(new Error('left'));
    await expect(imageSync.refresh(A.Id, left)).rejects.toThrow('left');
  });
});

describe('the removal', () => {
  it('of an image waits for earlier removals of it, and runs alongside removals of other images', async () => {
    const { imageSync } = roomWith();
    const story: string[] = [];
    const first = gate();
    const remove = (name: string, end?: Promise<void>) => async (): Promise<void> => {
      story.push(name);
      await end;
    };
    const one = imageSync.inTurn(A.Id, signal, remove('a', first.promise));
    const two = imageSync.inTurn(A.Id, signal, remove('a again'));
    const left = new AbortController();
    const three = imageSync.inTurn(A.Id, left.signal, remove('never'));
    await imageSync.inTurn(B.Id, signal, remove('b'));
    expect(story).toEqual(['a', 'b']);
    left.abort(new Error('left'));
    await expect(three).rejects.toThrow('left');
    first.resolve();
    await Promise.all([one, two]);
    expect(story).toEqual(['a', 'b', 'a again']);
  });
});
