import { abortable } from '../lib/async/abortable';
import { unavailable } from '../lib/errors';

/** Kinds of calls. Calls of one kind never wait for calls of another, because each kind has limits of its own. */
export type LaneName = 'facts' | 'inspect' | 'exec' | 'lifecycle' | 'image' | 'stop';

export interface LaneLimits {
  /** Limit of pending calls, not counting slow ones. */
  readonly atOnce: number;
  /** Time in ms after which a call counts as slow and leaves its place to the next call. */
  readonly slowMs: number;
}

/**
 * The limits keep a burst from opening hundreds of connections. In each lane for calls that concern containers, 32 calls can
 * hang at once and still leave places free until they count as slow. On a node that boots, starts take seconds, and more of them
 * at a time would only be slower. Stops have the widest limit, because each takes as long as its container needs to end.
 */
const LIMITS: Readonly<Record<LaneName, LaneLimits>> = {
  facts: { atOnce: 8, slowMs: 2_000 },
  inspect: { atOnce: 48, slowMs: 2_000 },
  exec: { atOnce: 48, slowMs: 2_000 },
  lifecycle: { atOnce: 48, slowMs: 10_000 },
  image: { atOnce: 16, slowMs: 2_000 },
  stop: { atOnce: 256, slowMs: 30_000 },
};
/** Limit of slow calls in a lane. It limits only connections, because slow calls cost dockbridge no work. */
const MAX_SLOW = 128;
/**
 * The limit of slow stops is higher, because long stops are normal: a node that drains may have a thousand of them
 * pending.
 */
const MAX_SLOW_STOPS = 744;
const MAX_WAITING = 2_000;
/** Limit of calls for one container in one lane. If two calls for a container hang, a third would hang too. */
const PER_CONTAINER = 2;

/** The state of a lane, with times in ms. */
export interface LaneLoad {
  readonly lane: LaneName;
  readonly underWay: number;
  readonly slow: number;
  /** Calls that wait for a place, without those that wait for other calls of their own container. */
  readonly waiting: number;
  readonly oldestWaitMs: number;
  readonly oldestCallMs: number;
  /** Method and path, such as `POST /containers/…/start`; '' when no call is pending. */
  readonly oldestCall: string;
}

export interface LaneCall {
  readonly lane: LaneName;
  /**
   * The container that the call concerns; undefined for a call that concerns no container. Kills have keys of their own, because they must
   * not wait for other calls for their container.
   */
  readonly container?: string | undefined;
  /** Describes the call in log messages and conditions. */
  readonly what: string;
}

/**
 * Limits the calls to the Engine, so that no hung call blocks a healthy one. Calls are admitted in the order of their arrival.
 */
export class CallLanes {
  private readonly lanes: Readonly<Record<LaneName, Lane>>;

  /** @param limits replace the usual limits, for tests. */
  constructor(limits: Partial<Record<LaneName, LaneLimits>> = {}) {
    const lane = (name: LaneName): Lane => new Lane(name, limits[name] ?? LIMITS[name]);
    this.lanes = {
      facts: lane('facts'),
      inspect: lane('inspect'),
      exec: lane('exec'),
      lifecycle: lane('lifecycle'),
      image: lane('image'),
      stop: lane('stop'),
    };
  }

  /**
   * Runs `work` when it is the call's turn.
   * @param signal ends the wait with its reason. `work` must observe the signal by itself.
   */
  async run<T>(call: LaneCall, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.lanes[call.lane].run(call, signal, work);
  }

  get load(): readonly LaneLoad[] {
    return Object.values(this.lanes).map((lane) => lane.load);
  }
}

interface Waiting {
  readonly container: string | undefined;
  readonly since: number;
  readonly enter: () => void;
}

interface Running {
  readonly what: string;
  readonly since: number;
  slow: boolean;
}

class Lane {
  private readonly waiting: Waiting[] = [];
  private readonly running = new Set<Running>();
  private readonly ofContainer = new Map<string, number>();
  private slow = 0;
  /** Places of admitted calls that have not begun yet. They begin in the same turn of the event loop. */
  private reserved = 0;

  constructor(
    private readonly name: LaneName,
    private readonly limits: LaneLimits,
  ) {}

  async run<T>({ container, what }: LaneCall, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.waiting.length > 0 || !this.hasRoom(container)) await this.wait(container, signal);
    else this.take(container);
    const call: Running = { what, since: performance.now(), slow: false };
    this.reserved--;
    this.running.add(call);
    const timer = setTimeout(() => this.callIsSlow(call), this.limits.slowMs).unref();
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      this.running.delete(call);
      if (call.slow) this.slow--;
      this.leave(container);
    }
  }

  get load(): LaneLoad {
    const now = performance.now();
    const waiting = this.waiting.filter(({ container }) => !this.isBusy(container));
    const oldest = [...this.running].reduce<Running | undefined>(
      (first, call) => (first === undefined || call.since < first.since ? call : first),
      undefined,
    );
    return {
      lane: this.name,
      underWay: this.running.size,
      slow: this.slow,
      waiting: waiting.length,
      oldestWaitMs: waiting[0] === undefined ? 0 : now - waiting[0].since,
      oldestCallMs: oldest === undefined ? 0 : now - oldest.since,
      oldestCall: oldest?.what ?? '',
    };
  }

  private hasRoom(container: string | undefined): boolean {
    return this.running.size - this.slow + this.reserved < this.limits.atOnce && !this.isBusy(container);
  }

  private isBusy(container: string | undefined): boolean {
    return container !== undefined && (this.ofContainer.get(container) ?? 0) >= PER_CONTAINER;
  }

  private take(container: string | undefined): void {
    this.reserved++;
    if (container !== undefined) this.ofContainer.set(container, (this.ofContainer.get(container) ?? 0) + 1);
  }

  private leave(container: string | undefined): void {
    if (container !== undefined) {
      const left = (this.ofContainer.get(container) ?? 1) - 1;
      if (left > 0) this.ofContainer.set(container, left);
      else this.ofContainer.delete(container);
    }
    this.admit();
  }

  private callIsSlow(call: Running): void {
    if (this.slow >= (this.name === 'stop' ? MAX_SLOW_STOPS : MAX_SLOW)) return;
    call.slow = true;
    this.slow++;
    this.admit();
  }

  /** Admits calls in order while there is room. A call for a busy container lets later calls pass. */
  private admit(): void {
    for (let at = 0; at < this.waiting.length;) {
      const next = this.waiting[at];
      if (next === undefined || this.running.size - this.slow + this.reserved >= this.limits.atOnce) return;
      if (this.isBusy(next.container)) at++;
      else {
        this.waiting.splice(at, 1);
        this.take(next.container);
        next.enter();
      }
    }
  }

  private async wait(container: string | undefined, signal: AbortSignal): Promise<void> {
    if (this.waiting.length >= MAX_WAITING)
      throw unavailable(`Docker Engine does not keep up: ${MAX_WAITING} calls wait for their turn`);
    let enter!: () => void;
    const turn = new Promise<void>((resolve) => (enter = resolve));
    const one = { container, since: performance.now(), enter };
    this.waiting.push(one);
    // The lane may already have room, if all earlier calls wait for their own containers.
    this.admit();
    try {
      await abortable(turn, signal);
    } catch (error) {
      const place = this.waiting.indexOf(one);
      if (place >= 0) this.waiting.splice(place, 1);
      else {
        // The call's turn came in the same tick as its abort, so its place is passed on.
        this.reserved--;
        this.leave(container);
      }
      throw error;
    }
  }
}
