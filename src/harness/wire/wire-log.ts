import type { EndedBy } from '../proxy/relay';
import type { Recorder } from '../tape/recorder';
import { packed, type Piece, type Side } from './pieces';

/** Pieces are collected for this time, or until they have this many bytes. */
const BATCH_MS = 20;
const BATCH_BYTES = 1024 * 1024;
/** The approximate memory of a piece without its bytes. */
const PIECE_BYTES = 100;

/** Observes one connection. Its methods neither wait nor throw. */
export interface WireTap {
  /**
   * Called with bytes that are being passed on. The tap keeps them for a moment, so the caller must not change them.
   * @returns a function to call when the kernel has accepted the bytes, with the time (ms) that they spent here; undefined if they are not recorded.
   */
  passing(from: Side, chunk: Buffer): ((spentMs: number) => void) | undefined;
  /** Called once, when the connection has ended. `t` is the time of the end, in seconds since the recording began. */
  closed(by: EndedBy, t: number): void;
}

/**
 * Collects the bytes that pass and sends them to the tape's thread. It keeps the chunks as they are, and copies them into one buffer when it
 * sends them. The thread that relays the bytes does nothing else with them.
 *
 * If there is no room for a chunk, the recording of its connection ends, and other connections are still recorded. The rest of the connection
 * could not be decoded, because HTTP/2 header fields refer to earlier ones and nothing marks the beginning of a frame.
 */
export class WireLog {
  readonly #recorder: Pick<Recorder, 'now' | 'takes' | 'write' | 'lose'>;
  #pieces: Piece[] = [];
  #weight = 0;
  #timer: NodeJS.Timeout | undefined;
  #connections = 0;

  constructor(recorder: Pick<Recorder, 'now' | 'takes' | 'write' | 'lose'>) {
    this.#recorder = recorder;
  }

  /** Returns the tap for a new connection. */
  follow(): WireTap {
    const connection = ++this.#connections;
    let isKnown = false;
    let isTorn = false;
    const tear = (): void => {
      isTorn = true;
      // The thread knows a connection only by its bytes. If none of them was kept, the loss is counted as one lost line instead.
      if (isKnown) this.#push({ kind: 'torn', connection, t: this.#recorder.now() });
      else this.#recorder.lose(1);
    };
    return {
      passing: (from, bytes) => {
        if (isTorn) return undefined;
        if (!this.#recorder.takes(this.#weight + bytes.length + PIECE_BYTES)) {
          tear();
          return undefined;
        }
        isKnown = true;
        const t = this.#recorder.now();
        const piece = { kind: 'bytes' as const, connection, t, from, spentMs: NaN, bytes };
        this.#push(piece);
        return (spentMs) => (piece.spentMs = spentMs);
      },
      closed: (by, t) => {
        if (isKnown) this.#push({ kind: 'closed', connection, t, by });
      },
    };
  }

  /** Sends the collected pieces to the tape's thread. */
  flush(): void {
    clearTimeout(this.#timer);
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#weight = 0;
    if (pieces.length > 0)
      this.#recorder.write({ kind: 'wire', t: this.#recorder.now(), bytes: packed(pieces) });
  }

  #push(piece: Piece): void {
    this.#weight += PIECE_BYTES + (piece.kind === 'bytes' ? piece.bytes.length : 0);
    this.#pieces.push(piece);
    if (this.#weight > BATCH_BYTES) this.flush();
    else if (this.#pieces.length === 1) this.#timer = setTimeout(() => this.flush(), BATCH_MS);
  }
}
