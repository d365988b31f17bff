import type { LaneLoad } from '../../../src/docker/call-lanes';
import { deadlineExceeded, unavailable } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import { WritableStore } from '../../../src/store/store';
import { EngineWatch } from '../../../src/sync/engine-watch';
import { hasNetworkDeadlock } from '../../../src/translate/shared/engine-facts';
import { gate, settle, type Gate as GateOf } from '../support/async';

type Gate = GateOf<void>;

const QUIET: LaneLoad = {
  ...{ lane: 'lifecycle', underWay: 0, slow: 0, waiting: 0 },
  ...{ oldestWaitMs: 0, oldestCallMs: 0, oldestCall: '' },
};

function watch(): {
  lines: string[];
  questions: number;
  answer: () => void;
  fail: (error: Error) => void;
  readonly now: (load: Partial<LaneLoad>, ms?: number) => EngineWatch;
} {
  let load: LaneLoad = QUIET;
  let clock = 1_000;
  jest.spyOn(performance, 'now').mockImplementation(() => clock);
  const lines: string[] = [];
  const note = (message: string): void => void lines.push(message);
  let open: Gate[] = [];
  const store = new WritableStore();
  store.engine = { engineVersion: '20.10.24' } as never;
  const made = new EngineWatch({
    docker: {
      listNetworks: async () => {
        room.questions++;
        const held = gate();
        open.push(held);
        await held.promise;
        return [];
      },
    },
    lanes: {
      get load() {
        return [load];
      },
    },
    store,
    logger: { ...silentLogger, warn: note, error: note, info: note },
  });
  const settleAll = (end: (held: Gate) => void): void => {
    const ended = open;
    open = [];
    ended.forEach(end);
  };
  const room = {
    lines,
    questions: 0,
    answer: () => settleAll((held) => held.resolve()),
    fail: (error: Error) => settleAll((held) => held.reject(error)),
    now: (next: Partial<LaneLoad>, ms = 10_000) => {
      load = { ...QUIET, ...next };
      clock += ms;
      made.look(new AbortController().signal);
      return made;
    },
  };
  return room;
}

afterEach(() => jest.restoreAllMocks());

it('says nothing of an Engine that keeps up', () => {
  const room = watch();
  expect(room.now({ underWay: 5, oldestCallMs: 9_000 }).trouble).toBeUndefined();
  expect(room.lines).toEqual([]);
});

it('tells of calls that hang, once, and when they do no more', () => {
  const room = watch();
  const hung = { underWay: 3, slow: 2, oldestCallMs: 15_000, oldestCall: 'POST /containers/c/start' };
  expect(room.now(hung).trouble).toEqual({
    isStuck: false,
    reason: 'DockerDaemonSlow',
    message: '2 calls of Docker Engine hang, the oldest, POST /containers/c/start, for 15 s',
  });
  room.now({ ...hung, oldestCallMs: 19_000 });
  expect(room.now({}).trouble).toBeUndefined();
  expect(room.lines).toEqual(['Docker Engine does not keep up', 'Docker Engine keeps up again']);
});

it('takes a queue that is old for an Engine that can run no pods', () => {
  const trouble = watch().now({
    underWay: 176,
    waiting: 9,
    oldestWaitMs: 31_000,
    oldestCallMs: 50_000,
  }).trouble;
  expect(trouble).toMatchObject({ isStuck: true, reason: 'DockerDaemonHangs' });
  expect(trouble?.message).toMatch(/9 lifecycle calls wait for their turn, the oldest for 31 s/);
});

it('says nothing of stops that wait for others, which take as long as their containers like', () => {
  const stops = {
    lane: 'stop',
    underWay: 1_000,
    waiting: 50,
    oldestWaitMs: 60_000,
    oldestCallMs: 90_000,
  } as const;
  const room = watch();
  room.answer();
  expect(room.now(stops).trouble).toBeUndefined();
});

it('tells networks that hang from calls that only take long, with one question', async () => {
  const room = watch();
  const hung = { underWay: 1, slow: 1, oldestCallMs: 30_000, oldestCall: 'DELETE /containers/c' };
  expect(room.now(hung).trouble?.reason).toBe('DockerDaemonSlow');
  room.answer();
  await settle();
  expect(room.now(hung).trouble?.reason).toBe('DockerDaemonSlow');
  room.now(hung, 10_000);
  const { trouble } = room.now(hung, 10_000);
  expect(trouble).toMatchObject({ isStuck: true, reason: 'DockerNetworksHang' });
  expect(trouble?.message).toMatch(
    /20\.10\.24 answers pings.*for 20 s.*moby#42545.*until dockerd is restarted/,
  );
  expect(room.questions).toBe(2);
  // dockerd was restarted: the question fails, and all is well.
  room.answer();
  await settle();
  expect(room.now({}).trouble).toBeUndefined();
});

it('takes a question about networks that was given up for no answer, and asks again', async () => {
  const room = watch();
  room.now({ underWay: 1, slow: 1, oldestCallMs: 30_000, oldestCall: 'DELETE /containers/c' });
  room.fail(deadlineExceeded('Docker Engine GET /networks took longer than 119000 ms'));
  await settle();
  // The calls that hang were given up as well: nothing is suspicious any more.
  expect(room.now({}, 119_000).trouble).toMatchObject({ isStuck: true, reason: 'DockerNetworksHang' });
  expect(room.now({}).trouble?.message).toContain('for 129 s');
  expect(room.questions).toBe(2);
  room.answer();
  await settle();
  expect(room.now({}).trouble).toBeUndefined();
  expect(room.questions).toBe(2);
});

it('takes a question about networks that failed for an answer', async () => {
  const room = watch();
  room.now({ underWay: 1, slow: 1, oldestCallMs: 30_000, oldestCall: 'DELETE /containers/c' });
  room.fail(unavailable('the Engine has hung up'));
  await settle();
  expect(room.now({}, 119_000).trouble).toBeUndefined();
});

it.each([
  ['20.10.24', true],
  ['20.10.24+dfsg1', true],
  ['19.03.15', true],
  ['20.10.27', false],
  ['23.0.1', false],
  ['28.5.2', false],
  ['dev', false],
])('%s has the deadlock: %s', (version, has) => {
  expect(hasNetworkDeadlock(version)).toBe(has);
});
