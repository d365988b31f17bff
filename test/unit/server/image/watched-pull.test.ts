import { getEventListeners } from 'node:events';
import { cancelled } from '../../../../src/lib/errors';
import { pullWhileItMoves, SharedMovement } from '../../../../src/server/image/image-pulls';
import type { EngineProgress } from '../../../../src/engine/types';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate } from '../../support/async';

const DEADLINE = 60_000;
const at = (status: string, current?: number): EngineProgress => ({
  id: 'a',
  status,
  progressDetail: current === undefined ? {} : { current },
});

/** A pull whose progress the test controls. */
function pulling(
  progressDeadlineMs = DEADLINE,
  signal = new AbortController().signal,
  movement = new SharedMovement(),
) {
  const end = gate();
  let say!: (message: EngineProgress) => void;
  const docker = fakeDocker({
    pullImage: (_name, _auth, onProgress, options) => {
      say = onProgress;
      options?.signal?.addEventListener('abort', () => end.reject(options.signal?.reason as Error));
      return end.promise;
    },
  });
  const done = pullWhileItMoves(
    docker,
    { name: 'r.io/app:1', auth: undefined, progressDeadlineMs },
    movement,
    signal,
  );
  const failed = done.then(
    () => undefined,
    (error: unknown) => error,
  );
  return { end, done, failed, say: (message: EngineProgress) => say(message) };
}

/** Returns whether the pull has failed. A cancelled pull fails in the turn of its timer. */
const isOver = (failed: Promise<unknown>): Promise<boolean> =>
  Promise.race([failed.then(() => true), jest.advanceTimersByTimeAsync(0).then(() => false)]);

describe('a pull', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('is cancelled when nothing has moved for the deadline', async () => {
    const { failed } = pulling();
    jest.advanceTimersByTime(DEADLINE - 1);
    expect(await isOver(failed)).toBe(false);
    jest.advanceTimersByTime(1);
    expect(await failed).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/^r\.io\/app:1: .* for 60 s/) as string,
    });
  });

  it.each([
    [105_000, '105'],
    [12_400, '12'],
    [3_140, '3.1'],
    [52, '0.052'],
  ])('that is cancelled after %d ms reports %s s', async (deadline, seconds) => {
    const { failed } = pulling(deadline);
    jest.advanceTimersByTime(deadline);
    expect(await failed).toMatchObject({
      message: expect.stringContaining(`made no progress for ${seconds} s`) as string,
    });
  });

  it('continues while bytes move, but not while the Engine repeats itself', async () => {
    const { failed, say } = pulling();
    for (let bytes = 0; bytes < 10; bytes++) {
      jest.advanceTimersByTime(DEADLINE - 1);
      say(at('Downloading', bytes));
    }
    expect(await isOver(failed)).toBe(false);
    jest.advanceTimersByTime(DEADLINE - 1);
    say(at('Downloading', 9));
    jest.advanceTimersByTime(1);
    expect(await failed).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('may be silent ten times as long once all layers have arrived', async () => {
    const { failed, say } = pulling();
    say(at('Download complete'));
    jest.advanceTimersByTime(10 * DEADLINE - 1);
    expect(await isOver(failed)).toBe(false);
    jest.advanceTimersByTime(1);
    expect(await failed).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('made no progress for 600 s') as string,
    });
  });

  describe('that waits behind others', () => {
    const two = () => {
      const movement = new SharedMovement();
      const [first, second] = [0, 1].map(() => pulling(DEADLINE, undefined, movement));
      second!.say(at('Waiting'));
      second!.say({ id: 'b', status: 'Download complete' });
      return { first: first!, second: second! };
    };

    it('waits for as long as the others move, however long', async () => {
      const { first, second } = two();
      for (let bytes = 0; bytes < 10; bytes++) {
        jest.advanceTimersByTime(DEADLINE - 1);
        first.say(at('Downloading', bytes));
      }
      expect(await isOver(second.failed)).toBe(false);
      second.end.resolve();
      expect(await second.failed).toBeUndefined();
    });

    it('is cancelled later than the stalled pull that it waits for', async () => {
      const { first, second } = two();
      first.say(at('Downloading', 1));
      jest.advanceTimersByTime(DEADLINE);
      expect(await first.failed).toMatchObject({ code: 'UNAVAILABLE' });
      jest.advanceTimersByTime(2 * DEADLINE - 1);
      expect(await isOver(second.failed)).toBe(false);
      jest.advanceTimersByTime(1);
      expect(await second.failed).toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining('made no progress for 180 s') as string,
      });
    });

    it('is cancelled after the plain deadline once one of its layers has its turn', async () => {
      const { first, second } = two();
      second.say(at('Downloading', 1));
      jest.advanceTimersByTime(DEADLINE - 1);
      first.say(at('Downloading', 1));
      jest.advanceTimersByTime(1);
      expect(await second.failed).toMatchObject({ code: 'UNAVAILABLE' });
    });
  });

  it('is never cancelled with a deadline of 0, and leaves neither a timer nor a listener', async () => {
    const { signal } = new AbortController();
    const { done, end } = pulling(0, signal);
    expect(jest.getTimerCount()).toBe(0);
    end.resolve();
    await done;
    const timed = pulling(DEADLINE, signal);
    timed.end.resolve();
    await timed.done;
    expect(jest.getTimerCount()).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('ends with its caller', async () => {
    const controller = new AbortController();
    const { failed } = pulling(DEADLINE, controller.signal);
    const reason = cancelled('gone');
    controller.abort(reason);
    expect(await failed).toBe(reason);
  });
});
