import { abortable } from '../../../../src/lib/async/abortable';
import { waitAtMost, withDeadline } from '../../../../src/lib/async/deadline';
import { gate, settle } from '../../support/async';
import { rejectionOf } from '../../support/errors';

/** Work that ends only by its signal. */
const forever = (signal: AbortSignal) => abortable(gate<never>().promise, signal);

describe('withDeadline', () => {
  it('returns the result of the work and leaves no timer or listener', async () => {
    const parent = new AbortController();
    const added = jest.spyOn(parent.signal, 'addEventListener');
    const removed = jest.spyOn(parent.signal, 'removeEventListener');
    const cleared = jest.spyOn(global, 'clearTimeout');
    await expect(withDeadline('work', 1e9, parent.signal, () => Promise.resolve(3))).resolves.toBe(3);
    expect(removed.mock.calls[0]?.[1]).toBe(added.mock.calls[0]?.[1]);
    expect(cleared).toHaveBeenCalledTimes(1);
    cleared.mockRestore();
  });

  it('also cleans up after an error, and passes it on', async () => {
    const parent = new AbortController();
    const removed = jest.spyOn(parent.signal, 'removeEventListener');
    const work = () => Promise.reject(new Error('its own'));
    await expect(withDeadline('work', 1e9, parent.signal, work)).rejects.toThrow('its own');
    expect(removed).toHaveBeenCalledTimes(1);
  });

  it('aborts the work at the time limit', async () => {
    expect(await rejectionOf(withDeadline('Ping', 5, undefined, forever))).toBe(
      'DEADLINE_EXCEEDED Ping took longer than 5 ms',
    );
  });

  it("aborts the work with the parent's reason", async () => {
    const parent = new AbortController();
    const work = withDeadline('work', 1e9, parent.signal, forever);
    parent.abort(new Error('the client left'));
    await expect(work).rejects.toThrow('the client left');
  });

  it('does not begin under a parent that is already aborted', async () => {
    const work = jest.fn(() => Promise.resolve());
    await expect(withDeadline('work', 1e9, AbortSignal.abort(new Error('gone')), work)).rejects.toThrow(
      'gone',
    );
    expect(work).not.toHaveBeenCalled();
  });

  it('accepts a limit beyond the maximum of setTimeout', async () => {
    const begun = gate();
    const work = withDeadline('work', 2 ** 40, undefined, async (signal) => {
      await begun.promise;
      return signal.aborted;
    });
    await new Promise((resolve) => setTimeout(resolve, 10));
    begun.resolve();
    await expect(work).resolves.toBe(false);
  });
});

describe('waitAtMost', () => {
  it('returns the result of the work if it comes in time', async () => {
    await expect(waitAtMost('work', 1e9, Promise.resolve(3))).resolves.toBe(3);
    await expect(waitAtMost('work', 1e9, Promise.reject(new Error('its own')))).rejects.toThrow('its own');
  });

  it('waits no longer than its limit or its caller', async () => {
    const [late, unseen] = [gate<never>(), gate<never>()];
    expect(await rejectionOf(waitAtMost('Ping', 5, late.promise))).toBe(
      'DEADLINE_EXCEEDED Ping took longer than 5 ms',
    );
    const gone = waitAtMost('Ping', 1e9, unseen.promise, AbortSignal.abort(new Error('gone')));
    await expect(gone).rejects.toThrow('gone');
    // Nobody awaits these promises any more, so an unhandled rejection would fail this test.
    for (const work of [late, unseen]) work.reject(new Error('late'));
    await settle();
  });
});
