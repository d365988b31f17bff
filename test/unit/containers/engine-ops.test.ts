import {
  ContainerSessions,
  StartFailure,
  startInEngine,
  stopInEngine,
  Teardowns,
} from '../../../src/containers/engine-ops';
import type { ContainerServices } from '../../../src/containers/engine-ops';
import { EngineError } from '../../../src/docker/errors';
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
])('on Engine %s, %i of thirty sandboxes are torn down at the same time', async (engineVersion, atOnce) => {
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

it('a teardown whose caller has gone keeps its place until the Engine has answered', async () => {
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
        // This fails as an Engine call does when its signal fires.
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

it('a sandbox whose teardown is retried has one turn, and a caller that has gone has none', async () => {
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

describe('the refusal of the Engine', () => {
  const signal = sharedAbortController().signal;
  const refusal = (status: number): EngineError =>
    new EngineError('UNKNOWN', status, `refused with ${status}`);
  const ids = (error: unknown): unknown[] => [error instanceof StartFailure, error];

  it.each([
    [400, true],
    [404, true],
    [409, true],
    [403, false],
    [500, true],
    [503, false],
  ])('to start a container, with %i, is blamed on the container: %s', async (status, isItsFault) => {
    const error = refusal(status);
    const docker = { startContainer: () => Promise.reject(error) };
    const thrown: unknown = await startInEngine(docker as never, 'c1', signal).catch(
      (caught: unknown) => caught,
    );
    expect(ids(thrown)).toEqual(
      isItsFault ? [true, expect.objectContaining({ engineText: error.message })] : [false, error],
    );
  });

  it('to stop a container causes an error, or updates the record if the container is gone', async () => {
    const refreshed: string[] = [];
    const stop = (status: number): Promise<boolean> =>
      stopInEngine(
        {
          docker: { stopContainer: () => Promise.reject(refusal(status)) },
          life: { refresh: (id: string) => Promise.resolve(void refreshed.push(id)) },
          sessions: new ContainerSessions(),
        } as unknown as Pick<ContainerServices, 'docker' | 'life' | 'sessions'>,
        ...(['c1', 10, signal] as const),
      );
    expect(await rejectionOf(stop(500))).toBe('UNKNOWN refused with 500');
    expect(refreshed).toEqual([]);
    expect(await stop(404)).toBe(false);
    expect(refreshed).toEqual(['c1']);
  });
});

it('the sessions of a container are drained until the last of its stops and removals has ended', async () => {
  const sessions = new ContainerSessions();
  const [first, second] = [gate(), gate()];
  const early = sessions.join('c1');
  const isHurried = (): boolean => sessions.join('c1').hurried.aborted;
  expect([early.hurried.aborted, isHurried()]).toEqual([false, false]);
  const stop = sessions.hurryDuring('c1', () => first.promise);
  const removal = sessions.hurryDuring('c1', () => second.promise);
  expect([early.hurried.aborted, isHurried(), sessions.join('c2').hurried.aborted]).toEqual([
    true,
    true,
    false,
  ]);
  first.resolve();
  await stop;
  expect(isHurried()).toBe(true);
  second.resolve();
  await removal;
  expect(isHurried()).toBe(false);
});
