import { getEventListeners } from 'node:events';
import { abortable, pause } from '../../../../src/lib/async/abortable';
import { gate, settle } from '../../support/async';

describe('abortable', () => {
  it.each([
    ['resolves', Promise.resolve('value'), 'value'],
    ['rejects', Promise.reject(new Error('own')), 'own'],
  ])('settles like the promise: %s', async (_, promise, outcome) => {
    const { signal } = new AbortController();
    const seen = await abortable<string>(promise, signal).catch((error: unknown) => (error as Error).message);
    expect(seen).toBe(outcome);
  });

  it('rejects at an abort, and removes its listener', async () => {
    const controller = new AbortController();
    const remove = jest.spyOn(controller.signal, 'removeEventListener');
    const waiting = abortable(gate().promise, controller.signal);
    controller.abort(new Error('reason'));
    await expect(waiting).rejects.toThrow('reason');
    expect(remove).toHaveBeenCalledTimes(1);
  });

  it.each([true, false])(
    'handles the rejection of a promise that fails after the abort, because an unhandled one fails a test (aborted before: %s)',
    async (abortFirst) => {
      const controller = new AbortController();
      const late = gate();
      if (abortFirst) controller.abort(new Error('reason'));
      const waiting = abortable(late.promise, controller.signal);
      controller.abort(new Error('reason'));
      await expect(waiting).rejects.toThrow('reason');
      late.reject(new Error('late'));
      await settle();
    },
  );
});

describe('pause', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  /** Returns whether the pause is over. */
  const isOver = (paused: Promise<void>): Promise<boolean> =>
    Promise.race([paused.then(() => true), jest.advanceTimersByTimeAsync(0).then(() => false)]);

  it.each<{ desc: string; end: (controller: AbortController) => void }>([
    { desc: 'its time limit', end: () => jest.advanceTimersByTime(1) },
    { desc: 'its signal', end: (controller) => controller.abort() },
  ])('ends with $desc, and leaves neither a timer nor a listener', async ({ end }) => {
    const controller = new AbortController();
    const paused = pause(1_000, controller.signal);
    jest.advanceTimersByTime(999);
    expect(await isOver(paused)).toBe(false);
    end(controller);
    expect(await isOver(paused)).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('returns at once under a signal that has fired', async () => {
    await pause(1_000, AbortSignal.abort());
    expect(jest.getTimerCount()).toBe(0);
  });
});
