import { abortable } from '../../../../src/lib/async/abortable';
import { gate, settle } from '../../support/async';

describe('abortable', () => {
  it.each([
    ['resolves', Promise.resolve('value'), 'value'],
    ['rejects', Promise.reject(new Error('own')), 'own'],
  ])('%s as the promise does', async (_, promise, outcome) => {
    const { signal } = new AbortController();
    const seen = await abortable<string>(promise, signal).catch((error: unknown) => (error as Error).message);
    expect(seen).toBe(outcome);
  });

  it('an earlier abort wins and the listener goes', async () => {
    const controller = new AbortController();
    const remove = jest.spyOn(controller.signal, 'removeEventListener');
    const waiting = abortable(gate().promise, controller.signal);
    controller.abort(new Error('reason'));
    await expect(waiting).rejects.toThrow('reason');
    expect(remove).toHaveBeenCalledTimes(1);
  });

  it.each([true, false])(
    'a promise that fails after the abort leaves no unhandled rejection, which fails a test (aborted before: %s)',
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
