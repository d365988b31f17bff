import { messageOf } from '../../lib/errors';
import { isMessage, toJson, type Json, type JsonOptions } from '../../proto/fields';
import { methodOf } from '../methods';
import type { Entry, LineEntry, TapeBytes } from './entry';
import type { TapeLine } from './format';
import { redaction, type Hide } from './redact';

/** Decimal places of the seconds in a tape. */
const TIME_DIGITS = 6;

/** Turns entries into the lines of a tape (docs/harness.md). Pure, so that it can run in any thread. */
export class TapeLines {
  readonly #json: JsonOptions;

  /** @param hide hides secrets; undefined keeps everything. */
  constructor(private readonly hide: Hide | undefined) {
    this.#json = hide === undefined ? {} : redaction(hide);
  }

  /** Returns the line for an entry, without the line break. */
  textOf(entry: LineEntry): string {
    return JSON.stringify(this.lineOf(entry));
  }

  lineOf(entry: LineEntry): TapeLine {
    const t = Number(entry.t.toFixed(TIME_DIGITS));
    switch (entry.kind) {
      case 'begin':
        return this.#begin(entry, t);
      case 'message': {
        const { n, path, i, message } = entry;
        return { n, t, method: nameOf(path), i, message: this.#message(methodOf(path)?.response, message) };
      }
      case 'end':
        return this.#end(entry, t);
      case 'fault': {
        const { n, path, fault, rule } = entry;
        const call = n === undefined || path === undefined ? {} : { n, method: nameOf(path) };
        return { ...call, t, fault, rule };
      }
      case 'lost':
        return { t, lost: entry.lost, ...(entry.why === undefined ? {} : { why: entry.why }) };
      case 'finish':
        return { t, end: true, calls: entry.calls, lost: entry.lost };
    }
  }

  #begin(entry: Entry & { kind: 'begin' }, t: number): TapeLine {
    const { n, path, deadlineMs, metadata, request } = entry;
    const method = methodOf(path);
    const fields = Object.entries(metadata);
    const shown = fields.map(([name, value]) => [name, this.hide?.(value) ?? value]);
    return {
      ...{ n, t, method: nameOf(path) },
      ...(method === undefined ? {} : { api: method.api }),
      ...(deadlineMs === undefined ? {} : { deadline_ms: deadlineMs }),
      ...(fields.length === 0 ? {} : { metadata: Object.fromEntries(shown) as Record<string, string> }),
      ...(request === undefined ? {} : { request: this.#message(method?.request, request) }),
    };
  }

  #end(entry: Entry & { kind: 'end' }, t: number): TapeLine {
    const { n, path, status, by, details, detailsBin, ms, response } = entry;
    return {
      ...{ n, t, method: nameOf(path), status },
      ...(by === undefined ? {} : { by }),
      ...(details === undefined ? {} : { details }),
      ...(detailsBin === undefined ? {} : { details_bin: detailsBin }),
      ms: Number(ms.toFixed(3)),
      ...(response === undefined ? {} : { response: this.#message(methodOf(path)?.response, response) }),
    };
  }

  /** Returns a message as JSON. If it cannot be read, the JSON contains the reason and the bytes, or their hash. */
  #message(type: string | undefined, { bytes, length, compressed }: TapeBytes): Json {
    if (bytes === undefined) return unread(`it is too long (${length} bytes)`, length);
    const raw = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const shown = this.hide?.(raw) ?? raw.toString('base64');
    if (compressed) return unread('it is compressed', length, shown);
    if (type === undefined || !isMessage(type)) return unread('the method is unknown', length, shown);
    try {
      return toJson(type, raw, this.#json);
    } catch (error) {
      return unread(messageOf(error), length, shown);
    }
  }
}

/** The key with the reason, in the JSON that replaces an unreadable message. */
export const UNREAD = '@unread';

function unread(why: string, length: number, bytes?: string): Json {
  return { [UNREAD]: why, length, ...(bytes === undefined ? {} : { bytes }) };
}

function nameOf(path: string): string {
  return methodOf(path)?.name ?? path;
}
