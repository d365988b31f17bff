import { Readable } from 'node:stream';
import { readJsonLines } from '../../../src/docker/ndjson';

async function read(chunks: Iterable<Buffer>): Promise<unknown[]> {
  const lines: unknown[] = [];
  for await (const line of readJsonLines(Readable.from(chunks))) lines.push(line);
  return lines;
}

const LINES = [{ a: 'ä€😀' }, { b: [1, 2] }, { c: null }];
const TEXT = Buffer.from(LINES.map((line) => `${JSON.stringify(line)}\r\n`).join('\n'));

describe('readJsonLines', () => {
  it.each(Array.from({ length: TEXT.length + 1 }, (_, at) => at))(
    'takes a stream cut at byte %i',
    async (at) => {
      const chunks = [TEXT.subarray(0, at), TEXT.subarray(at)].filter((chunk) => chunk.length > 0);
      expect(await read(chunks)).toEqual(LINES);
    },
  );

  it('takes single bytes, and a last line without its end', async () => {
    const bytes = Array.from(TEXT.subarray(0, TEXT.length - 2), (byte) => Buffer.from([byte]));
    expect(await read(bytes)).toEqual(LINES);
  });

  it('skips empty lines and takes an empty stream', async () => {
    expect(await read([Buffer.from('\n \r\n\n{"a":1}\n\n')])).toEqual([{ a: 1 }]);
    expect(await read([])).toEqual([]);
  });

  it('hands over what came before a line that is not JSON, then rejects', async () => {
    const lines: unknown[] = [];
    const reading = (async () => {
      for await (const line of readJsonLines(Readable.from([Buffer.from('{"a":1}\n<html>\n{"b":2}\n')])))
        lines.push(line);
    })();
    await expect(reading).rejects.toThrow(SyntaxError);
    expect(lines).toEqual([{ a: 1 }]);
  });

  it('rejects a last line that was cut off', async () => {
    await expect(read([Buffer.from('{"a":1}\n{"b"')])).rejects.toThrow(SyntaxError);
  });

  it('takes a line of 10 MiB in small pieces and refuses one without end', async () => {
    const piece = Buffer.alloc(64 * 1024, 'x');
    const long = [Buffer.from('"'), ...Array.from({ length: 160 }, () => piece), Buffer.from('"\n')];
    expect(await read(long)).toEqual(['x'.repeat(160 * piece.length)]);
    let taken = 0;
    const endless = (function* (): Generator<Buffer> {
      for (;;) {
        taken += piece.length;
        yield piece;
      }
    })();
    await expect(read(endless)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(taken).toBeLessThan(18 * 1024 * 1024);
  });

  it('stops reading when its reader does', async () => {
    const stream = new Readable({ read: () => undefined });
    stream.push('{"a":1}\n{"b":2}\n');
    for await (const line of readJsonLines(stream)) {
      expect(line).toEqual({ a: 1 });
      break;
    }
    expect(stream.destroyed).toBe(true);
  });
});
