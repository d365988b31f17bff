const TURN = 0;
const LENGTH = 1;
const DISMISSED = 2;
const TEXT_AT = 3 * Int32Array.BYTES_PER_ELEMENT;
const TEXT_BYTES = 128;

export interface WorkLook {
  /** Grows with each piece of work. */
  readonly turn: number;
  /** The container whose log is worked on; undefined between two pieces of work. */
  readonly container: string | undefined;
}

/**
 * What the log worker is at, in memory that the main thread sees too: a thread that hangs in a file call answers no
 * message.
 */
export class WorkMarker {
  private readonly numbers: Int32Array;
  private readonly text: Uint8Array;

  constructor(readonly memory = new SharedArrayBuffer(TEXT_AT + TEXT_BYTES)) {
    this.numbers = new Int32Array(memory, 0, 3);
    this.text = new Uint8Array(memory, TEXT_AT);
  }

  /** Runs a piece of work on one container's log; there is never one within another. */
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

  /** Within a long piece of work: shows that it does not hang. */
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

  /** Another thread takes over: this one must change nothing any more, should its file call ever end. */
  dismiss(): void {
    Atomics.store(this.numbers, DISMISSED, 1);
  }

  throwIfDismissed(): void {
    if (Atomics.load(this.numbers, DISMISSED) !== 0) throw new Error('this log worker was replaced');
  }
}
