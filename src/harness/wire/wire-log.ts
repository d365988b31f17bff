import type { EndedBy } from '../proxy/relay';
import type { Recorder } from '../tape/recorder';
import { packed, type Piece, type Side } from './pieces';

/** How long pieces are gathered, and how many bytes of them. */
const BATCH_MS = 20;
const BATCH_BYTES = 1024 * 1024;
/** What a piece costs besides its bytes, roughly. */
const PIECE_BYTES = 100;

/** Looks on while one connection passes. Nothing here waits or throws. */
export interface WireTap {
  /**
   * These bytes go on now. They are kept until they are copied, so nobody may change them.
   * @returns what wants to know how long (ms) they were here; undefined if nobody does.
   */
  passing(from: Side, chunk: Buffer): ((spentMs: number) => void) | undefined;
  /** Nothing passes any more since `t` (seconds since the recording began). Called once and last. */
  closed(by: EndedBy, t: number): void;
}

/**
 * The way of bytes to the tape. It keeps chunks as they came, and copies them together when it hands them over: that is the one thing that is
 * done with them on the thread that passes them on.
 *
 * What the tape's thread does not take in time ends the recording of its connection, not of others. Header fields of HTTP/2 are
 * written as references to earlier ones, and frames have no mark at which a reader could begin anew.
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

  /** For a connection that begins. */
  follow(): WireTap {
    const connection = ++this.#connections;
    let isKnown = false;
    let isTorn = false;
    const tear = (): void => {
      isTorn = true;
      // Of a connection that the tape knows nothing of there is nothing to end.
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

  /** Hands over what is here. */
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
