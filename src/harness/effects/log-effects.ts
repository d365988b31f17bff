import { createHash } from 'node:crypto';
import { effectsOf, type Effects } from './effect';

/** Longer contents are compared by their length and hash. */
const MAX_SHOWN_BYTES = 60;
const LINE = /^(\S+) (stdout|stderr) (P|F)( (.*))?$/s;

export interface LogLine {
  readonly time: string;
  readonly stream: string;
  /** `P` for a part of a line, `F` for a whole one or its last part. */
  readonly tag: string;
  /** Each character is a byte. */
  readonly content: string;
}

/**
 * Reads a log in CRI's format.
 * @param text each character is a byte (latin1), because a log need not be UTF-8.
 * @returns the lines, and how many others are in it.
 */
export function parseCriLog(text: string): { readonly lines: readonly LogLine[]; readonly foreign: number } {
  const all = text.split('\n');
  // Behind the last line break is nothing; a runtime that leaves it out still has written a line.
  if (all.at(-1) === '') all.pop();
  const lines = all.flatMap((line) => {
    const [, time = '', stream = '', tag = '', rest, content = ''] = LINE.exec(line) ?? [];
    return rest === undefined ? [] : [{ time, stream, tag, content }];
  });
  return { lines, foreign: all.length - lines.length };
}

/** The lines of each stream in their order. How the two are mixed is chance. */
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
  // Bytes that are no UTF-8 stay what they are: as text they would all be the same.
  const utf8 = bytes.toString('utf8');
  const isText = Buffer.from(utf8, 'utf8').equals(bytes);
  return isText ? JSON.stringify(utf8) : `bytes ${bytes.toString('hex')}`;
}
