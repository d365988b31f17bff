const TURN = 0;
const LENGTH = 1;
const DISMISSED = 2;
const TEXT_AT = 3 * Int32Array.BYTES_PER_ELEMENT;
const TEXT_BYTES = 128;

/** Marks work on the directory of all positions, in place of a container's id. */
export const ALL_POSITIONS = 'all positions';

export interface WorkLook {
  /** Counter that grows with each piece of work. */
  readonly turn: number;
  /** The id of the container whose log the worker is working on, or ALL_POSITIONS; undefined between two pieces of work. */
  readonly container: string | undefined;
}

/**
 * Records which log the worker is working on. The record is in memory that the main thread can read, because a thread that
 * hangs in a file call answers no messages.
 */
export class WorkMarker {
  private readonly numbers: Int32Array;
  private readonly text: Uint8Array;

  constructor(readonly memory = new SharedArrayBuffer(TEXT_AT + TEXT_BYTES)) {
    this.numbers = new Int32Array(memory, 0, 3);
    this.text = new Uint8Array(memory, TEXT_AT);
  }

  /** Runs a piece of work on one container's log. Pieces of work are never nested. */
  during<T>(containerId: string, work: () => T): T {
    this.throwIfDismissed();
    const { numbers, text } = this;
    const length = Math.min(containerId.length, TEXT_BYTES);
    for (let at = 0; at < length; at++) text[at] = containerId.charCodeAt(at);
    Atomics.add(numbers, TURN, 1);
    Atomics.store(numbers, LENGTH, length);
    try {
      return work();
    } finally {
      Atomics.store(numbers, LENGTH, 0);
    }
  }

  /** Called within a long piece of work, to show that the work does not hang. */
  goOn(): void {
    this.throwIfDismissed();
    Atomics.add(this.numbers, TURN, 1);
  }

  look(): WorkLook {
    const turn = Atomics.load(this.numbers, TURN);
    const length = Atomics.load(this.numbers, LENGTH);
    const container = length === 0 ? undefined : Buffer.from(this.text.slice(0, length)).toString('latin1');
    return { turn, container };
  }

  /** Called when another thread takes over. This thread must then change nothing more, even if its file call ever returns. */
  dismiss(): void {
    Atomics.store(this.numbers, DISMISSED, 1);
  }

  throwIfDismissed(): void {
    if (Atomics.load(this.numbers, DISMISSED) !== 0) throw new Error('this log worker was replaced');
  }
}

export interface HangTimes {
  readonly lookMs: number;
  /** How many consecutive looks must find the same piece of work before it counts as hanging. */
  readonly looks: number;
}

/** One piece of work is at most some hundred KiB. If it takes 15 s, the disk does not answer, however busy the node is. */
export const HANG_TIMES: HangTimes = { lookMs: 2_500, looks: 6 };

/**
 * Looks at the worker's marker at regular intervals until it is stopped. It counts looks instead of time, because this process
 * itself may have been suspended between two looks.
 */
export class HangWatch {
  private readonly timer: NodeJS.Timeout;
  private lastTurn = -1;
  private same = 0;

  constructor(
    private readonly marker: WorkMarker,
    private readonly times: HangTimes,
    private readonly onHang: (containerId: string) => void,
  ) {
    this.timer = setInterval(() => this.look(), times.lookMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const { turn, container } = this.marker.look();
    this.same = container !== undefined && turn === this.lastTurn ? this.same + 1 : 0;
    this.lastTurn = turn;
    if (container === undefined || this.same < this.times.looks) return;
    this.stop();
    this.onHang(container);
  }
}
