import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  Demultiplexer,
  firstTarEntry,
  linkTarget,
  readJsonLines,
  type StreamKind,
} from '../../../src/docker/streams';
import { engineFrame } from '../support/engine-frame';

function collect(chunks: Iterable<Buffer>): Record<StreamKind, string> {
  const got: Record<StreamKind, string> = { 1: '', 2: '' };
  const demultiplexer = new Demultiplexer((kind, data) => (got[kind] += data.toString('latin1')));
  for (const chunk of chunks) demultiplexer.write(chunk);
  return got;
}

const STREAM = Buffer.concat([
  engineFrame(1, 'out-1'),
  engineFrame(2, 'err'),
  engineFrame(1, ''),
  engineFrame(0, 'in'),
  engineFrame(1, 'out-2'),
]);
const WANTED = { 1: 'out-1out-2', 2: 'err' };

describe('Demultiplexer', () => {
  it.each(Array.from({ length: STREAM.length + 1 }, (_, at) => at))(
    'reads a stream that is split at byte %i',
    (at) => {
      expect(collect([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(WANTED);
    },
  );

  it('reads a stream that arrives in single bytes', () => {
    expect(collect(Array.from(STREAM, (byte) => Buffer.from([byte])))).toEqual(WANTED);
  });

  it('drops the echo of stdin and unknown streams', () => {
    expect(
      collect([engineFrame(0, 'x'), engineFrame(3, 'y'), engineFrame(255, 'z'), engineFrame(2, 'kept')]),
    ).toEqual({
      1: '',
      2: 'kept',
    });
  });

  it('delivers the received part of a frame that is cut off, and nothing of a cut header', () => {
    expect(collect([engineFrame(1, 'abcdef').subarray(0, 11)])).toEqual({ 1: 'abc', 2: '' });
    expect(collect([engineFrame(1, 'abcdef').subarray(0, 7)])).toEqual({ 1: '', 2: '' });
  });

  it('delivers a frame of 4 GiB in pieces, without holding it', () => {
    const header = Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    const piece = Buffer.alloc(1024 * 1024);
    let bytes = 0;
    const demultiplexer = new Demultiplexer((_kind, data) => {
      bytes += data.length;
      // `data` is a slice of the input, not a copy.
      expect(data.buffer).toBe(piece.buffer);
    });
    demultiplexer.write(header);
    for (let count = 0; count < 64; count++) demultiplexer.write(piece);
    expect(bytes).toBe(64 * piece.length);
  });

  it('reads ten thousand frames of one byte in one chunk, each byte once', () => {
    const count = 10_000;
    const one = engineFrame(1, 'x');
    const chunk = Buffer.alloc(count * one.length, one);
    const slice = jest.spyOn(chunk, 'subarray');
    const copy = jest.spyOn(chunk, 'copy');
    let frames = 0;
    new Demultiplexer(() => frames++).write(chunk);
    expect(frames).toBe(count);
    // dockerode's own code slices the rest of the chunk for each frame. With a million frames, this takes
    // minutes or overflows the stack.
    const sliced = slice.mock.results.reduce((sum, { value }) => sum + (value as Buffer).length, 0);
    const copied = copy.mock.results.reduce((sum, { value }) => sum + (value as number), 0);
    expect({ sliced, copied }).toEqual({ sliced: count, copied: 8 * count });
  });
});

async function read(chunks: Iterable<Buffer>): Promise<unknown[]> {
  const lines: unknown[] = [];
  for await (const line of readJsonLines(Readable.from(chunks))) lines.push(line);
  return lines;
}

const LINES = [{ a: 'ä€😀' }, { b: [1, 2] }, { c: null }];
const TEXT = Buffer.from(LINES.map((line) => `${JSON.stringify(line)}\r\n`).join('\n'));

describe('readJsonLines', () => {
  it.each(Array.from({ length: TEXT.length + 1 }, (_, at) => at))(
    'reads a stream that is split at byte %i',
    async (at) => {
      const chunks = [TEXT.subarray(0, at), TEXT.subarray(at)].filter((chunk) => chunk.length > 0);
      expect(await read(chunks)).toEqual(LINES);
    },
  );

  it('reads single bytes, and a last line without a line end', async () => {
    const bytes = Array.from(TEXT.subarray(0, TEXT.length - 2), (byte) => Buffer.from([byte]));
    expect(await read(bytes)).toEqual(LINES);
  });

  it('skips empty lines and accepts an empty stream', async () => {
    expect(await read([Buffer.from('\n \r\n\n{"a":1}\n\n')])).toEqual([{ a: 1 }]);
    expect(await read([])).toEqual([]);
  });

  it('delivers the lines before one that is not JSON, then rejects', async () => {
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

  it('reads a line of 10 MiB in small pieces, and refuses one that never ends', async () => {
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

  it('stops reading when its reader stops', async () => {
    const stream = new Readable({ read: () => undefined });
    stream.push('{"a":1}\n{"b":2}\n');
    for await (const line of readJsonLines(stream)) {
      expect(line).toEqual({ a: 1 });
      break;
    }
    expect(stream.destroyed).toBe(true);
  });
});

describe('firstTarEntry', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'dockbridge-tar-'));
    writeFileSync(join(directory, 'passwd'), 'root:x:0:0\n'.repeat(100));
    writeFileSync(join(directory, 'empty'), '');
    writeFileSync(join(directory, 'n'.repeat(200)), 'long');
    mkdirSync(join(directory, 'dir'));
    symlinkSync('../usr/etc/passwd', join(directory, 'link'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const tar = (name: string, format: string): Buffer =>
    execFileSync('tar', ['-C', directory, `--format=${format}`, '-c', name]);

  it.each(['pax', 'gnu', 'ustar'])('reads files and links of the %s format', (format) => {
    expect(firstTarEntry(tar('passwd', format))).toEqual({
      kind: 'file',
      content: Buffer.from('root:x:0:0\n'.repeat(100)),
    });
    expect(firstTarEntry(tar('empty', format))).toEqual({ kind: 'file', content: Buffer.alloc(0) });
    expect(firstTarEntry(tar('link', format))).toEqual({ kind: 'link', target: '../usr/etc/passwd' });
    expect(firstTarEntry(tar('dir', format))).toEqual({ kind: 'other' });
  });

  it.each(['pax', 'gnu'])('skips the entries in which the %s format describes the next entry', (format) => {
    expect(firstTarEntry(tar('n'.repeat(200), format))).toEqual({
      kind: 'file',
      content: Buffer.from('long'),
    });
  });

  it('finds nothing in an empty or truncated archive', () => {
    expect(firstTarEntry(Buffer.alloc(0))).toBeUndefined();
    expect(firstTarEntry(Buffer.alloc(10240))).toBeUndefined();
    expect(firstTarEntry(tar('passwd', 'gnu').subarray(0, 1000))).toBeUndefined();
  });

  it.each([
    { path: '/etc/passwd', target: '../usr/etc/passwd', at: '/usr/etc/passwd' },
    { path: '/etc/passwd', target: '/nix/passwd', at: '/nix/passwd' },
    { path: '/etc/passwd', target: 'passwd.real', at: '/etc/passwd.real' },
    { path: '/etc/passwd', target: '../../../../x', at: '/x' },
  ])('resolves the link $target at $path to $at', ({ path, target, at }) =>
    expect(linkTarget(path, target)).toBe(at),
  );
});
