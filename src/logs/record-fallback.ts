import { padTimestamp } from './cri-line';

const START = '{"log":';

/**
 * The slow way for a spool record that has not Docker's usual shape: surrogate pairs, other field order, line
 * breaks inside. Undefined when no JSON object can be found. A record that begins with the torn half of an earlier
 * one (the Engine died in mid-write and appended after its restart) is read from its last whole object on.
 */
export function translateSlowly(record: Buffer): Buffer | undefined {
  const text = record.toString('utf8');
  for (let at = text.lastIndexOf(START); ; at = text.lastIndexOf(START, at - 1)) {
    const parsed = parse(at <= 0 ? text : text.slice(at));
    if (parsed !== undefined) return Buffer.from(format(parsed), 'utf8');
    if (at <= 0) return undefined;
  }
}

interface SpoolRecord {
  readonly log: string;
  readonly stream: string;
  readonly time: string;
}

function parse(text: string): SpoolRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('time' in value)) return undefined;
  const log = 'log' in value ? value.log : '';
  const stream = 'stream' in value ? value.stream : 'stdout';
  if (typeof value.time !== 'string' || typeof log !== 'string') return undefined;
  return { log, stream: stream === 'stderr' ? 'stderr' : 'stdout', time: value.time };
}

function format(record: SpoolRecord): string {
  const header = `${padTimestamp(record.time)} ${record.stream} `;
  const lines = record.log.split('\n');
  const last = lines.pop() ?? '';
  const whole = lines.map((line) => `${header}F ${line}\n`).join('');
  return last === '' && lines.length > 0 ? whole : `${whole}${header}P ${last}\n`;
}
