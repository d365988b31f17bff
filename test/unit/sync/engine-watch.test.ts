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

it('the watch reports nothing for an Engine that keeps up', () => {
  const room = watch();
  expect(room.now({ underWay: 5, oldestCallMs: 9_000 }).trouble).toBeUndefined();
  expect(room.lines).toEqual([]);
});

it('the watch reports hanging calls once, and logs their end', () => {
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

it('the watch reports that an Engine with an old queue can run no pods', () => {
  const trouble = watch().now({
    underWay: 176,
    waiting: 9,
    oldestWaitMs: 31_000,
    oldestCallMs: 50_000,
  }).trouble;
  expect(trouble).toMatchObject({ isStuck: true, reason: 'DockerDaemonHangs' });
  expect(trouble?.message).toMatch(/9 lifecycle calls wait for their turn \(the oldest for 31 s\)/);
});

it('the watch ignores stops that wait for others, because containers decide how long a stop takes', () => {
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

it('the watch distinguishes hanging networks from slow calls with one question at a time', async () => {
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
  // dockerd was restarted, so the question is answered, and nothing is wrong.
  room.answer();
  await settle();
  expect(room.now({}).trouble).toBeUndefined();
});

it('the watch does not count an abandoned question about networks as an answer, and asks again', async () => {
  const room = watch();
  room.now({ underWay: 1, slow: 1, oldestCallMs: 30_000, oldestCall: 'DELETE /containers/c' });
  room.fail(deadlineExceeded('Docker Engine GET /networks took longer than 119000 ms'));
  await settle();
  // The hanging calls were abandoned too, so nothing is suspicious any more.
  expect(room.now({}, 119_000).trouble).toMatchObject({ isStuck: true, reason: 'DockerNetworksHang' });
  expect(room.now({}).trouble?.message).toContain('for 129 s');
  expect(room.questions).toBe(2);
  room.answer();
  await settle();
  expect(room.now({}).trouble).toBeUndefined();
  expect(room.questions).toBe(2);
});

it('the watch counts a failed question about networks as an answer', async () => {
  const room = watch();
  room.now({ underWay: 1, slow: 1, oldestCallMs: 30_000, oldestCall: 'DELETE /containers/c' });
  room.fail(unavailable('the Engine has hung up'));
  await settle();
  expect(room.now({}, 119_000).trouble).toBeUndefined();
});

describe('the watch over several lanes', () => {
  let loads: Partial<LaneLoad>[];
  let told: unknown[];
  let asked: (AbortSignal | undefined)[];
  let answer: () => Promise<never[]>;
  let clock: number;
  let store: WritableStore;
  let made: EngineWatch;
  beforeEach(() => {
    [loads, told, asked, clock] = [[], [], [], 1_000];
    answer = () => gate<never[]>().promise;
    jest.spyOn(performance, 'now').mockImplementation(() => clock);
    const note =
      (level: string) =>
      (...line: unknown[]): void =>
        void told.push([level, ...line]);
    store = new WritableStore();
    made = new EngineWatch({
      docker: {
        listNetworks: (options) => {
          asked.push(options?.signal);
          return answer();
        },
      },
      lanes: {
        get load() {
          return loads.map((load) => ({ ...QUIET, ...load }));
        },
      },
      store,
      logger: { ...silentLogger, warn: note('warn'), error: note('error'), info: note('info') },
    });
  });
  const { signal } = new AbortController();

  it('adds up their calls except stops, and names the oldest', () => {
    loads = [
      { lane: 'image', slow: 1, oldestCallMs: 10_001, oldestCall: 'GET /a' },
      { lane: 'lifecycle', slow: 2, oldestCallMs: 18_600, oldestCall: 'GET /b' },
      { lane: 'exec', slow: 4, oldestCallMs: 12_000, oldestCall: 'GET /c' },
      { lane: 'stop', slow: 8, oldestCallMs: 20_000, oldestCall: 'GET /d' },
    ];
    expect(made.trouble).toEqual({
      ...{ isStuck: false, reason: 'DockerDaemonSlow' },
      message: '7 calls of Docker Engine hang, the oldest, GET /b, for 19 s',
    });
    made.look(signal);
    made.look(signal);
    const message = '7 calls of Docker Engine hang, the oldest, GET /b, for 19 s';
    expect(told).toEqual([['warn', 'Docker Engine does not keep up', { reason: message }]]);
    expect(asked).toEqual([]);
  });

  it('reports an old queue rather than an old call, with the number of calls that wait', () => {
    loads = [
      { lane: 'stop', waiting: 1, oldestWaitMs: 90_000 },
      { lane: 'exec', oldestCallMs: 20_000 },
      {
        ...{ lane: 'image', waiting: 3, underWay: 5, oldestWaitMs: 30_001 },
        ...{ oldestCallMs: 45_000, oldestCall: 'POST /images/create' },
      },
    ];
    const message =
      'Docker Engine does not keep up: 3 image calls wait for their turn (the oldest for 30 s) behind 5 unanswered calls (the oldest, POST /images/create, for 45 s)';
    expect(made.trouble).toEqual({ isStuck: true, reason: 'DockerDaemonHangs', message });
    made.look(signal);
    expect(told).toEqual([['error', 'Docker Engine does not keep up', { reason: message }]]);
  });

  it.each<[string, Partial<LaneLoad>]>([
    ['a call of ten seconds', { lane: 'lifecycle', oldestCallMs: 10_000 }],
    ['a wait of thirty seconds', { lane: 'lifecycle', oldestWaitMs: 30_000 }],
    ['a wait for stops', { lane: 'stop', oldestWaitMs: 30_001 }],
    ['an old stop', { lane: 'stop', oldestCallMs: 10_001 }],
  ])('does not report %s', (_, load) => {
    loads = [{}, load];
    expect(made.trouble).toBeUndefined();
    made.look(signal);
    expect(told).toEqual([]);
  });

  it.each<[LaneLoad['lane'], number, boolean]>([
    ['lifecycle', 20_001, true],
    ['lifecycle', 20_000, false],
    ['stop', 20_001, true],
    ['image', 20_001, false],
    ['exec', 20_001, false],
  ])(
    'suspects the networks when the oldest call of lane %s is %d ms old: %p',
    (lane, oldestCallMs, isSuspicious) => {
      loads = [{}, { lane, oldestCallMs }];
      made.look(signal);
      expect(asked).toEqual(isSuspicious ? [signal] : []);
      made.look(signal);
      // One question at a time.
      expect(asked).toHaveLength(isSuspicious ? 1 : 0);
    },
  );

  it('reports hanging networks from fifteen seconds on, whatever else is wrong, even if the version is unknown', () => {
    loads = [{ lane: 'lifecycle', oldestCallMs: 60_000, oldestWaitMs: 60_000 }];
    made.look(signal);
    clock += 14_999;
    expect(made.trouble?.reason).toBe('DockerDaemonHangs');
    clock += 1;
    expect(made.trouble).toEqual({
      ...{ isStuck: true, reason: 'DockerNetworksHang' },
      message:
        'Docker Engine answers pings, but its networks have not answered for 15 s: pods can neither start nor end until dockerd is restarted',
    });
    store.engine = { engineVersion: '28.5.2' } as never;
    expect(made.trouble?.message).toBe(
      'Docker Engine 28.5.2 answers pings, but its networks have not answered for 15 s: pods can neither start nor end until dockerd is restarted',
    );
    store.engine = { engineVersion: '20.10.24' } as never;
    expect(made.trouble?.message).toBe(
      'Docker Engine 20.10.24 answers pings, but its networks have not answered for 15 s (this version can deadlock when containers end: moby/moby#42545, fixed in 20.10.27 and 23.0): pods can neither start nor end until dockerd is restarted',
    );
  });

  it('does not count a question that ended with its connection as open', async () => {
    loads = [{ lane: 'lifecycle', oldestCallMs: 20_001 }];
    const connection = new AbortController();
    connection.abort(new Error('lost'));
    answer = () => Promise.reject(deadlineExceeded('too late'));
    made.look(connection.signal);
    await settle();
    loads = [];
    clock += 60_000;
    expect(made.trouble).toBeUndefined();
    made.look(signal);
    expect(asked).toEqual([connection.signal]);
  });
});

it.each([
  ['20.10.24', true],
  ['20.10.24+dfsg1', true],
  ['19.03.15', true],
  ['20.10.27', false],
  ['23.0.1', false],
  ['28.5.2', false],
  ['dev', false],
])('Engine %s has the deadlock: %s', (version, has) => {
  expect(hasNetworkDeadlock(version)).toBe(has);
});
