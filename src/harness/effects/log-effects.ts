import { createHash } from 'node:crypto';
import { effectsOf, type Effects } from './effect';

/** Longer contents are compared by their length and hash. */
const MAX_SHOWN_BYTES = 60;
const LINE = /^(\S+) (stdout|stderr) (P|F)( (.*))?$/s;

export interface LogLine {
  readonly time: string;
  readonly stream: string;
  /** `P` for a part of a line, `F` for a whole line or the last part of a line. */
  readonly tag: string;
  /** Each character is a byte. */
  readonly content: string;
}

/**
 * Parses a log in CRI's format.
 * @param text the log, with one character for each byte (latin1), because a log need not be UTF-8.
 * @returns the lines in CRI's format, and the number of other lines.
 */
export function parseCriLog(text: string): { readonly lines: readonly LogLine[]; readonly foreign: number } {
  const all = text.split('\n');
  // After the last line break there is no further line. A last line without a line break counts as a line.
  if (all.at(-1) === '') all.pop();
  const lines = all.flatMap((line) => {
    const [, time = '', stream = '', tag = '', rest, content = ''] = LINE.exec(line) ?? [];
    return rest === undefined ? [] : [{ time, stream, tag, content }];
  });
  return { lines, foreign: all.length - lines.length };
}

/** Returns the lines of each stream in order. The order between the two streams is random, so it is not an effect. */
export function logEffects(text: string): Effects {
  const { lines, foreign } = parseCriLog(text);
  const counts = new Map<string, number>();
  const entries = lines.map(({ stream, tag, content }): [string, string] => {
    const at = (counts.get(stream) ?? 0) + 1;
    counts.set(stream, at);
    return [`log ${stream} ${at}`, `${tag} ${shown(content)}`];
  });
  const times = lines.every(({ time }) => !Number.isNaN(Date.parse(time)));
  return effectsOf([
    ...entries,
    ['log times', times ? 'RFC 3339' : 'cannot be read'],
    ['log lines of another format', foreign === 0 ? undefined : String(foreign)],
  ]);
}

function shown(content: string): string {
  const bytes = Buffer.from(content, 'latin1');
  if (bytes.length > MAX_SHOWN_BYTES) {
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
    return `${bytes.length} bytes, sha256 ${hash}…`;
  }
  // Bytes that are not UTF-8 are shown in hexadecimal, because as text they would all become U+FFFD.
  const utf8 = bytes.toString('utf8');
  const isText = Buffer.from(utf8, 'utf8').equals(bytes);
  return isText ? JSON.stringify(utf8) : `bytes ${bytes.toString('hex')}`;
}
