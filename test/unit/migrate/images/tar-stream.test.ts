import { TarStream } from '../../../../src/migrate/images/tar-stream';
import { chunked, headerOf, tarOf } from './memory-store';

async function contents(archive: Buffer, chunk: number): Promise<[string, string][]> {
  const tar = new TarStream(chunked(archive, chunk));
  const all: [string, string][] = [];
  for (let entry = await tar.next(); entry !== undefined; entry = await tar.next()) {
    const parts: Buffer[] = [];
    for await (const part of tar.read()) parts.push(part);
    all.push([entry.name, Buffer.concat(parts).toString()]);
  }
  return all;
}

const LONG = `${'d'.repeat(90)}/${'f'.repeat(90)}`;
const FILES = [
  ['a', 'x'.repeat(511)],
  ['empty', ''],
  ['b', 'y'.repeat(512)],
  [LONG, 'z'.repeat(1025)],
] as const;

describe('TarStream', () => {
  it.each([1, 7, 512, 1000, 100_000])('reads all entries from chunks of %d bytes', async (chunk) => {
    expect(await contents(tarOf(FILES), chunk)).toEqual(FILES);
  });

  it('skips bodies that nobody reads, and reads a body from the middle', async () => {
    const tar = new TarStream(chunked(tarOf(FILES), 300));
    await tar.next();
    await tar.next();
    const entry = await tar.next();
    await tar.skipBody(510);
    const parts: Buffer[] = [];
    for await (const part of tar.read()) parts.push(part);
    expect([entry?.name, Buffer.concat(parts).toString()]).toEqual(['b', 'yy']);
    expect((await tar.next())?.name).toBe(LONG);
  });

  it('reads an entry whose name and size are in pax records', async () => {
    const records = '17 path=pax-name\n10 size=3\n';
    const pax = Buffer.concat([headerOf('pax', records.length, 'x'), Buffer.from(records.padEnd(512, '\0'))]);
    const file = Buffer.concat([headerOf('short', 0, '0'), Buffer.from('abc'.padEnd(512, '\0'))]);
    expect(await contents(Buffer.concat([pax, file, Buffer.alloc(1024)]), 512)).toEqual([
      ['pax-name', 'abc'],
    ]);
  });

  it("reads a size in GNU's binary form", async () => {
    const header = headerOf('large', 0, '0');
    header.fill(0, 124, 136);
    header[124] = 0x80;
    header.writeUInt32BE(12 * 1024 ** 2, 132);
    header.writeUInt32BE(3, 128);
    const entry = await new TarStream(chunked(header, 512)).next();
    expect(entry?.size).toBe(3 * 2 ** 32 + 12 * 1024 ** 2);
  });

  it('has no body for a link, even if its header has a size', async () => {
    const archive = Buffer.concat([headerOf('link', 100, '2'), tarOf([['file', 'f']])]);
    expect(await contents(archive, 512)).toEqual([
      ['link', ''],
      ['file', 'f'],
    ]);
  });

  it.each([100, 700])('reports an archive that is cut off after %d bytes', async (length) => {
    await expect(contents(tarOf([['a', 'x'.repeat(600)]]).subarray(0, length), 64)).rejects.toThrow(
      'cut off',
    );
  });
});
