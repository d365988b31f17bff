import type { Readable } from 'node:stream';
import { internal } from '../lib/errors';

/** One message of the Engine's JSON streams is a few hundred bytes; labels in events can make it some 100 KiB. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/**
 * The messages of a stream of JSON lines, one at a time with back-pressure. Ends when the stream does, rejects when
 * it tears, when a line is not JSON or when one exceeds 16 MiB.
 */
export async function* readJsonLines<T>(stream: Readable): AsyncGenerator<T> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...rest, chunk.subarray(start, end)]).toString('utf8');
      [rest, restBytes, start] = [[], 0, end + 1];
      if (line.trim() !== '') yield JSON.parse(line) as T;
    }
    restBytes += chunk.length - start;
    if (restBytes > MAX_LINE_BYTES)
      throw internal(`the Engine sent a line of more than ${MAX_LINE_BYTES} bytes`);
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
  const last = Buffer.concat(rest).toString('utf8');
  if (last.trim() !== '') yield JSON.parse(last) as T;
}
