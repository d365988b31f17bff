import { coalesce, SharedWork } from '../../../../src/lib/async/shared-work';
import { cancelled } from '../../../../src/lib/errors';
import { gate, settle } from '../../support/async';

const forever = (): AbortSignal => new AbortController().signal;

/** Work that notes its signals and ends when told. */
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
  it('is done once for all who want the same at the same time, and anew after that', async () => {
    const { runs, join } = room();
    const all = [join(), join(), join('other')];
    expect(runs).toHaveLength(2);
    runs[0]!.end.resolve('one');
    runs[1]!.end.resolve('two');
    expect(await Promise.all(all)).toEqual(['one', 'one', 'two']);
    void join();
    expect(runs).toHaveLength(3);
  });

  it('fails for all alike', async () => {
    const { runs, join } = room();
    const all = [join(), join()];
    runs[0]!.end.reject(new Error('no'));
    for (const one of all) await expect(one).rejects.toThrow('no');
  });

  it('goes on while anybody waits, is aborted with the last, and is never joined again', async () => {
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
    // The end of the old one is not the end of the new one.
    runs[0]!.end.reject(new Error('aborted'));
    await settle();
    const joined = join();
    expect(runs).toHaveLength(2);
    runs[1]!.end.resolve('new');
    expect(await Promise.all([again, joined])).toEqual(['new', 'new']);
  });

  it('is not begun for who has gone already', async () => {
    const { runs, join } = room();
    await expect(join('k', AbortSignal.abort(cancelled('gone')))).rejects.toThrow('gone');
    expect(runs).toHaveLength(0);
  });
});

it('coalesce shares what is under way, and starts anew after it', async () => {
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
