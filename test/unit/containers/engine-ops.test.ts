import { Teardowns } from '../../../src/containers/engine-ops';
import { abortable } from '../../../src/lib/async/abortable';
import { sharedAbortController } from '../../../src/lib/async/deadline';
import { cancelled } from '../../../src/lib/errors';
import { WritableStore } from '../../../src/store/store';
import { gate, settle } from '../support/async';
import { rejectionOf } from '../support/errors';

it.each([
  ['20.10.24', 4],
  ['20.10.27', 30],
  ['28.5.2', 30],
])('on %s %i sandboxes of thirty end at once', async (engineVersion, atOnce) => {
  const store = new WritableStore();
  store.engineVersion = engineVersion;
  const teardowns = new Teardowns(store);
  const held = gate();
  let begun = 0;
  const all = Array.from({ length: 30 }, (_, at) =>
    teardowns.run(`s${at}`, () => {
      begun++;
      return held.promise;
    }),
  );
  await settle();
  expect(begun).toBe(atOnce);
  held.resolve();
  await Promise.all(all);
  expect(begun).toBe(30);
});

it('keeps the place of a call that was given up until the Engine has answered', async () => {
  const store = new WritableStore();
  store.engineVersion = '20.10.24';
  const teardowns = new Teardowns(store);
  const held = gate();
  let begun = 0;
  const callers = Array.from({ length: 8 }, () => sharedAbortController());
  const all = callers.map(({ signal }, at) =>
    teardowns.run(
      `s${at}`,
      (own) => {
        begun++;
        // As a call of the Engine does.
        return abortable(held.promise, own);
      },
      signal,
    ),
  );
  const first = rejectionOf(all[0]!);
  callers[0]!.abort(cancelled('the client has gone'));
  expect(await first).toBe('CANCELLED the client has gone');
  await settle();
  expect(begun).toBe(4);
  held.resolve();
  await Promise.all(all.slice(1));
  expect(begun).toBe(8);
});

it('gives a sandbox that is tried again one turn, and none to a caller who has gone', async () => {
  const store = new WritableStore();
  store.engineVersion = '20.10.24';
  const teardowns = new Teardowns(store);
  const held = gate();
  const begun: string[] = [];
  const run = (id: string, signal?: AbortSignal): Promise<void> => {
    const work = (): Promise<void> => {
      begun.push(id);
      return held.promise;
    };
    return teardowns.run(id, work, signal);
  };
  const gone = sharedAbortController();
  gone.abort(cancelled('the client has gone'));
  expect(await rejectionOf(run('gone', gone.signal))).toBe('CANCELLED the client has gone');
  const all = [run('hangs'), run('hangs'), run('hangs'), run('hangs'), run('healthy')];
  await settle();
  expect(begun).toEqual(['hangs', 'healthy']);
  held.resolve();
  await Promise.all(all);
});
