import { coalesce, SharedWork } from '../../../../src/lib/async/shared-work';
import { cancelled } from '../../../../src/lib/errors';
import { gate, settle } from '../../support/async';

const forever = (): AbortSignal => new AbortController().signal;

/** Work that records its signals and ends on request. */
function room() {
  const shared = new SharedWork<string>();
  const runs: { signal: AbortSignal; end: ReturnType<typeof gate<string>> }[] = [];
  const join = (key = 'k', signal = forever()): Promise<string> =>
    shared.join(key, signal, (workSignal) => {
      const end = gate<string>();
      runs.push({ signal: workSignal, end });
      return end.promise;
    });
  return { runs, join };
}

describe('SharedWork', () => {
  it('runs once for all callers that request it at the same time, and again later', async () => {
    const { runs, join } = room();
    const all = [join(), join(), join('other')];
    expect(runs).toHaveLength(2);
    runs[0]!.end.resolve('one');
    runs[1]!.end.resolve('two');
    expect(await Promise.all(all)).toEqual(['one', 'one', 'two']);
    void join();
    expect(runs).toHaveLength(3);
  });

  it('fails for all callers alike', async () => {
    const { runs, join } = room();
    const all = [join(), join()];
    runs[0]!.end.reject(new Error('no'));
    for (const one of all) await expect(one).rejects.toThrow('no');
  });

  it('continues while anybody waits, is aborted with the last caller, and is never joined again', async () => {
    const { runs, join } = room();
    const [first, second] = [new AbortController(), new AbortController()];
    const waits = [join('k', first.signal), join('k', second.signal)];
    first.abort(cancelled('first'));
    await expect(waits[0]).rejects.toThrow('first');
    expect(runs[0]!.signal.aborted).toBe(false);
    second.abort(cancelled('second'));
    await expect(waits[1]).rejects.toThrow('second');
    expect(runs[0]!.signal.aborted).toBe(true);
    const again = join();
    expect(runs).toHaveLength(2);
    // The end of the old work is not the end of the new work.
    runs[0]!.end.reject(new Error('aborted'));
    await settle();
    const joined = join();
    expect(runs).toHaveLength(2);
    runs[1]!.end.resolve('new');
    expect(await Promise.all([again, joined])).toEqual(['new', 'new']);
  });

  it('does not begin for a caller that has already gone', async () => {
    const { runs, join } = room();
    await expect(join('k', AbortSignal.abort(cancelled('gone')))).rejects.toThrow('gone');
    expect(runs).toHaveLength(0);
  });
});

it('coalesce shares work that is under way, and starts again after it', async () => {
  let started = 0;
  const done = gate<number>();
  const shared = coalesce(() => {
    started++;
    return done.promise;
  });
  const calls = [shared(), shared()];
  done.resolve(7);
  expect(await Promise.all(calls)).toEqual([7, 7]);
  expect(started).toBe(1);
  await shared();
  expect(started).toBe(2);
});
