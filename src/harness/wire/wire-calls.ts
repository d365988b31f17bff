import { messageOf } from '../../lib/errors';
import { SpentTimes } from '../proxy/overhead';
import type { RawHeaders } from '../proxy/raw-headers';
import type { LineEntry } from '../tape/entry';
import { RecordingTap, type CallSink } from '../tape/recording-tap';
import { Http2Calls, type OpenedCall } from './http2-calls';
import { unpacked, type Piece } from './pieces';

/**
 * Creates the entries of a tape from the bytes that passed on connections. It runs in the tape's thread. If the bytes of a connection are
 * not HTTP/2, the recording of this connection ends, and an entry reports this. `read` never throws.
 */
export class WireCalls {
  readonly spent = new SpentTimes();
  /** The number of calls that have begun. */
  calls = 0;
  /** The number of lines that are missing because their connection could not be read any further. */
  lost = 0;
  /** The decoder of each connection; undefined if the connection can no longer be decoded. */
  readonly #connections = new Map<number, Http2Calls | undefined>();
  readonly #sink: CallSink = {
    nextCall: () => ++this.calls,
    now: () => this.#t,
    write: (entry) => void this.#made.push(entry),
  };
  #made: LineEntry[] = [];
  #problems: string[] = [];
  #t = 0;

  /**
   * Decodes pieces.
   * @param pieces in the form of `packed`.
   * @returns the entries that these pieces add to the tape, and messages about connections that can no longer be decoded.
   */
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
      this.#giveUp(connection, calls, 'the disk was too slow');
      return;
    }
    try {
      calls.feed(piece.from, piece.bytes, piece.spentMs);
    } catch (error) {
      this.#giveUp(
        connection,
        calls,
        `the bytes that the ${piece.from} sent could not be decoded: ${messageOf(error)}`,
      );
    }
  }

  #open(path: string, headers: RawHeaders): OpenedCall {
    return {
      tap: new RecordingTap(this.#sink, path, headers),
      answered: (insideMs) => this.spent.record(insideMs),
    };
  }

  /** Ends the recording of a connection. Its open calls will have no end on the tape. The number of later calls is unknown, so the loss may be larger. */
  #giveUp(connection: number, calls: Http2Calls, why: string): void {
    this.#connections.set(connection, undefined);
    const lost = Math.max(1, calls.open);
    this.lost += lost;
    const text = `connection ${connection} is no longer recorded: ${why}`;
    this.#made.push({ kind: 'lost', t: this.#t, lost, why: text });
    this.#problems.push(text);
  }
}
