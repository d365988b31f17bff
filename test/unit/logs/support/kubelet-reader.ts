/** The options of `kubectl logs`. */
export interface ReadOptions {
  /**
   * The number of last lines. kubelet counts lines of the file, so each part of a long line counts as one.
   */
  readonly tail?: number;
  /** Only lines of this time and later, compared to the nanosecond. */
  readonly since?: string;
}

export interface Output {
  stdout: string;
  stderr: string;
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z$/;

/**
 * Reads a CRI log as kubelet does. The text is all bytes from the third blank to the line break. Tags are
 * separated by `:`, and the first is P or F; P has no line break of its own. @throws on any line that
 * kubelet would skip with an error.
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
    // All times have nine digits and are in UTC, so they sort as text.
    if (since !== undefined && time < since) continue;
    output[stream] += tag === 'F' ? `${text}\n` : text;
  }
  return output;
}
