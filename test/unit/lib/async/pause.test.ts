import { getEventListeners } from 'node:events';
import { pause } from '../../../../src/lib/async/pause';

describe('pause', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  /** Whether the pause is over by now. */
  const isOver = (paused: Promise<void>): Promise<boolean> =>
    Promise.race([paused.then(() => true), jest.advanceTimersByTimeAsync(0).then(() => false)]);

  it.each<{ desc: string; end: (controller: AbortController) => void }>([
    { desc: 'its time', end: () => jest.advanceTimersByTime(1) },
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

  it('is none under a signal that has fired', async () => {
    await pause(1_000, AbortSignal.abort());
    expect(jest.getTimerCount()).toBe(0);
  });
});
