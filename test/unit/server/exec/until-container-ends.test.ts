import { untilContainerEnds } from '../../../../src/server/exec/until-container-ends';
import { WritableStore } from '../../../../src/store/store';
import { settle } from '../../support/async';
import { FINISHED, runningContainer } from '../../support/records';

const RUNNING = runningContainer();
const EXITED = runningContainer({ state: 'exited', pid: 0, finishedAt: FINISHED });

describe('untilContainerEnds', () => {
  let store: WritableStore;
  let caller: AbortController;
  let onEnd: jest.Mock;
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    [store, caller, onEnd] = [new WritableStore(), new AbortController(), jest.fn()];
    store.containers.put(RUNNING);
  });
  afterEach(() => jest.useRealTimers());

  const follow = () => untilContainerEnds({ store }, RUNNING.id, caller.signal, onEnd);

  it('reports the end of the container at once, and fires half a second later', async () => {
    const { signal } = follow();
    store.containers.put({ ...RUNNING, oomKilled: true });
    await settle();
    expect(onEnd).not.toHaveBeenCalled();
    store.containers.put(EXITED);
    await settle();
    expect(onEnd).toHaveBeenCalledTimes(1);
    jest.advanceTimersByTime(499);
    expect(signal.aborted).toBe(false);
    jest.advanceTimersByTime(1);
    expect(signal.reason).toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('fires when the signal of its caller fires', () => {
    const { signal } = follow();
    caller.abort(new Error('gone'));
    expect(signal.reason).toEqual(new Error('gone'));
  });

  it.each(['before the end of the container', 'after the end of the container'])(
    'does not fire if it is released %s',
    async (when) => {
      const following = follow();
      if (when === 'after the end of the container') store.containers.put(EXITED);
      await settle();
      expect(jest.getTimerCount()).toBe(when === 'after the end of the container' ? 1 : 0);
      following.release();
      store.containers.put(EXITED);
      await settle();
      expect(jest.getTimerCount()).toBe(0);
      jest.advanceTimersByTime(1_000);
      expect(following.signal.aborted).toBe(false);
      expect(onEnd).toHaveBeenCalledTimes(when === 'after the end of the container' ? 1 : 0);
    },
  );
});
