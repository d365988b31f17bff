import { CallLanes, type LaneName } from '../../../src/docker/call-lanes';
import { sharedAbortController } from '../../../src/lib/async/deadline';
import { unavailable } from '../../../src/lib/errors';
import { gate, settle, until, type Gate } from '../support/async';
import { rejectionOf } from '../support/errors';

const NEVER = 3_600_000;
let order: string[];

/** A lane with `atOnce` places. `slowMs` is short where calls should count as slow within the test. */
function lanes(atOnce: number, slowMs = NEVER): CallLanes {
  return new CallLanes({ inspect: { atOnce, slowMs } });
}

beforeEach(() => (order = []));

interface Begun {
  readonly gate: Gate<void>;
  readonly done: Promise<void>;
}

function begin(
  all: CallLanes,
  what: string,
  { container, lane = 'inspect', signal }: { container?: string; lane?: LaneName; signal?: AbortSignal } = {},
): Begun {
  const held = gate();
  const done = all.run({ lane, container, what }, signal ?? sharedAbortController().signal, () => {
    order.push(what);
    return held.promise;
  });
  done.catch(() => undefined);
  return { gate: held, done };
}

const loadOf = (all: CallLanes) => all.load.find(({ lane }) => lane === 'inspect')!;

describe('a lane', () => {
  it('admits a fixed number of calls at once, and the others in their order', async () => {
    const all = lanes(2);
    const begun = ['a', 'b', 'c', 'd'].map((what) => begin(all, what));
    await settle();
    expect(order).toEqual(['a', 'b']);
    expect(loadOf(all)).toMatchObject({ underWay: 2, waiting: 2, slow: 0, oldestCall: 'a' });
    begun[1]!.gate.resolve();
    await settle();
    expect(order).toEqual(['a', 'b', 'c']);
    begun[0]!.gate.reject(new Error('failed'));
    await settle();
    expect(order).toEqual(['a', 'b', 'c', 'd']);
    for (const { gate: held } of begun) held.resolve();
    await settle();
    expect(loadOf(all)).toMatchObject({ underWay: 0, waiting: 0, slow: 0, oldestCall: '' });
  });

  it('does not make another lane wait', async () => {
    const all = lanes(1);
    begin(all, 'hung');
    begin(all, 'waits');
    begin(all, 'goes', { lane: 'exec' });
    await settle();
    expect(order).toEqual(['hung', 'goes']);
  });

  it('gives a container two places, and lets other containers pass its third call', async () => {
    const all = lanes(3);
    const first = begin(all, 'c1 first', { container: 'c1' });
    for (const what of ['c1 second', 'c1 third', 'c1 fourth']) begin(all, what, { container: 'c1' });
    begin(all, 'c2', { container: 'c2' });
    await settle();
    expect(order).toEqual(['c1 first', 'c1 second', 'c2']);
    // These calls wait for their own container, not for the Engine.
    expect(loadOf(all).waiting).toBe(0);
    first.gate.resolve();
    await settle();
    expect(order.slice(3)).toEqual(['c1 third']);
  });

  it('counts a call that has become slow against none of its places', async () => {
    const all = lanes(2, 5);
    for (const what of ['hung 1', 'hung 2', 'c', 'd']) begin(all, what);
    await until(() => order.length === 4);
    await until(() => loadOf(all).slow === 4);
    expect(loadOf(all)).toMatchObject({ underWay: 4, waiting: 0 });
  });

  it('does not count a call that has ended as slow, whether it was in time or not', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const all = lanes(2, 5);
      for (const outcome of ['resolve', 'reject'] as const) {
        const [quick, slow] = [begin(all, 'quick'), begin(all, 'slow')];
        await settle();
        if (outcome === 'resolve') quick.gate.resolve();
        else quick.gate.reject(new Error('failed'));
        await settle();
        await jest.advanceTimersByTimeAsync(5);
        expect(loadOf(all)).toMatchObject({ underWay: 1, slow: 1, oldestCall: 'slow' });
        slow.gate.resolve();
        await settle();
        expect(loadOf(all)).toMatchObject({ underWay: 0, slow: 0 });
      }
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('releases a waiting call when its signal fires, and gives its turn to the next', async () => {
    const all = lanes(1);
    const holder = begin(all, 'holder');
    const controller = new AbortController();
    const quitter = begin(all, 'quitter', { signal: controller.signal });
    begin(all, 'next');
    await settle();
    expect(loadOf(all).oldestWaitMs).toBeGreaterThanOrEqual(0);
    controller.abort(unavailable('enough'));
    expect(await rejectionOf(quitter.done)).toBe('UNAVAILABLE enough');
    holder.gate.resolve();
    await settle();
    expect(order).toEqual(['holder', 'next']);
  });

  it('loses no place when a call gives up at the moment of its turn', async () => {
    const all = lanes(1);
    const holder = begin(all, 'holder');
    const controller = new AbortController();
    const quitter = begin(all, 'quitter', { signal: controller.signal });
    await settle();
    holder.gate.resolve();
    await holder.done;
    controller.abort(unavailable('enough'));
    quitter.gate.resolve();
    await quitter.done.catch(() => undefined);
    await settle();
    begin(all, 'next');
    await settle();
    expect(order.at(-1)).toBe('next');
    expect(loadOf(all).underWay).toBe(1);
  });

  it('admits more stops than other slow calls, because containers decide how long a stop takes', async () => {
    const all = new CallLanes({ stop: { atOnce: 256, slowMs: 5 } });
    for (let at = 0; at < 400; at++) begin(all, String(at), { lane: 'stop' });
    await until(() => order.length === 400, 'the 400th stop');
  });

  it('refuses calls when thousands wait', async () => {
    const all = lanes(1);
    for (let at = 0; at < 2_001; at++) begin(all, String(at));
    expect(await rejectionOf(begin(all, 'one too many').done)).toMatch(
      /^UNAVAILABLE Docker Engine does not keep/,
    );
  });
});
