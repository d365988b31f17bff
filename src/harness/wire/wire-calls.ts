import { messageOf } from '../../lib/errors';
import { SpentTimes } from '../proxy/overhead';
import type { RawHeaders } from '../proxy/raw-headers';
import type { LineEntry } from '../tape/entry';
import { RecordingTap, type CallSink } from '../tape/recording-tap';
import { Http2Calls, type OpenedCall } from './http2-calls';
import { unpacked, type Piece } from './pieces';

/**
 * Makes entries of a tape out of what passed on connections. It runs in the tape's thread. Bytes that are no HTTP/2 end the recording of their
 * connection, with a line that says so; they never throw.
 */
export class WireCalls {
  readonly spent = new SpentTimes();
  /** Calls that have begun. */
  calls = 0;
  /** Lines that are missing because their connection could not be read any further. */
  lost = 0;
  /** Undefined for a connection that cannot be read any further. */
  readonly #connections = new Map<number, Http2Calls | undefined>();
  readonly #sink: CallSink = {
    nextCall: () => ++this.calls,
    now: () => this.#t,
    write: (entry) => void this.#made.push(entry),
  };
  #made: LineEntry[] = [];
  #problems: string[] = [];
  #t = 0;

  /** @returns what these pieces (`packed`) add to the tape, and for people what is wrong with them. */
  read(pieces: Uint8Array): { readonly entries: readonly LineEntry[]; readonly problems: readonly string[] } {
    for (const piece of unpacked(pieces)) {
      this.#t = piece.t;
      this.#take(piece);
    }
    const read = { entries: this.#made, problems: this.#problems };
    this.#made = [];
    this.#problems = [];
    return read;
  }

  #take(piece: Piece): void {
    const { connection } = piece;
    if (!this.#connections.has(connection))
      this.#connections.set(connection, new Http2Calls((path, headers) => this.#open(path, headers)));
    const calls = this.#connections.get(connection);
    if (piece.kind === 'closed') {
      this.#connections.delete(connection);
      calls?.closed(piece.by);
      return;
    }
    if (calls === undefined) return;
    if (piece.kind === 'torn') {
      this.#giveUp(connection, calls, 'the disk did not keep up');
      return;
    }
    try {
      calls.feed(piece.from, piece.bytes, piece.spentMs);
    } catch (error) {
      this.#giveUp(connection, calls, `what the ${piece.from} sent cannot be read: ${messageOf(error)}`);
    }
  }

  #open(path: string, headers: RawHeaders): OpenedCall {
    return {
      tap: new RecordingTap(this.#sink, path, headers),
      answered: (insideMs) => this.spent.record(insideMs),
    };
  }

  /** Each call that is open has no end in the tape. How many come after it nobody knows, so this is the least that is lost. */
  #giveUp(connection: number, calls: Http2Calls, why: string): void {
    this.#connections.set(connection, undefined);
    const lost = Math.max(1, calls.open);
    this.lost += lost;
    const text = `connection ${connection} is not recorded any further: ${why}`;
    this.#made.push({ kind: 'lost', t: this.#t, lost, why: text });
    this.#problems.push(text);
  }
}
