/** What `kubectl logs` may ask of a log file. */
export interface ReadOptions {
  /** The last so many lines; kubelet counts those of the file, so each part of a long line is one. */
  readonly tail?: number;
  /** Lines of this time and later; compared to the nanosecond. */
  readonly since?: string;
}

export interface Output {
  stdout: string;
  stderr: string;
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z$/;

/**
 * Reads a CRI log as kubelet does: bytes up to the line break after the third blank are the text, whatever they are;
 * tags are separated by `:`, the first is P or F; P has no line break of its own.
 * @throws on anything that kubelet would pass over with an error.
 */
export function readAsKubelet(file: Buffer, { tail, since }: ReadOptions = {}): Output {
  const output: Output = { stdout: '', stderr: '' };
  const lines = file.toString('latin1').split('\n');
  if (lines.pop() !== '') throw new Error('the last line has no end');
  const first = tail === undefined ? 0 : Math.max(0, lines.length - tail);
  for (const line of lines.slice(first)) {
    const [time = '', stream, tags = ''] = line.split(' ', 3);
    const text = line.slice(`${time} ${stream ?? ''} ${tags} `.length);
    if (!TIME.test(time) || Number.isNaN(Date.parse(time))) throw new Error(`no time: ${line}`);
    if (stream !== 'stdout' && stream !== 'stderr') throw new Error(`no stream: ${line}`);
    const [tag] = tags.split(':');
    if (tag !== 'P' && tag !== 'F') throw new Error(`no tag: ${line}`);
    // Nine digits, UTC: times sort as text.
    if (since !== undefined && time < since) continue;
    output[stream] += tag === 'F' ? `${text}\n` : text;
  }
  return output;
}
