import { Demultiplexer, type StreamKind } from '../../../src/docker/demux';
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
  it.each(Array.from({ length: STREAM.length + 1 }, (_, at) => at))('takes a stream cut at byte %i', (at) => {
    expect(collect([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(WANTED);
  });

  it('takes single bytes', () => {
    expect(collect(Array.from(STREAM, (byte) => Buffer.from([byte])))).toEqual(WANTED);
  });

  it('drops the echo of stdin and streams it does not know', () => {
    expect(
      collect([engineFrame(0, 'x'), engineFrame(3, 'y'), engineFrame(255, 'z'), engineFrame(2, 'kept')]),
    ).toEqual({
      1: '',
      2: 'kept',
    });
  });

  it('hands over what it has of a frame that is cut off, and nothing of a cut header', () => {
    expect(collect([engineFrame(1, 'abcdef').subarray(0, 11)])).toEqual({ 1: 'abc', 2: '' });
    expect(collect([engineFrame(1, 'abcdef').subarray(0, 7)])).toEqual({ 1: '', 2: '' });
  });

  it('takes a frame of 4 GiB as it comes, without holding it', () => {
    const header = Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    const piece = Buffer.alloc(1024 * 1024);
    let bytes = 0;
    const demultiplexer = new Demultiplexer((_kind, data) => {
      bytes += data.length;
      // A slice of what came in, not a copy.
      expect(data.buffer).toBe(piece.buffer);
    });
    demultiplexer.write(header);
    for (let count = 0; count < 64; count++) demultiplexer.write(piece);
    expect(bytes).toBe(64 * piece.length);
  });

  it('takes ten thousand frames of one byte in one chunk, each byte once', () => {
    const count = 10_000;
    const one = engineFrame(1, 'x');
    const chunk = Buffer.alloc(count * one.length, one);
    const slice = jest.spyOn(chunk, 'subarray');
    const copy = jest.spyOn(chunk, 'copy');
    let frames = 0;
    new Demultiplexer(() => frames++).write(chunk);
    expect(frames).toBe(count);
    // dockerode's own slices all that is left for each frame: minutes for a million, or an overflow of the stack.
    const sliced = slice.mock.results.reduce((sum, { value }) => sum + (value as Buffer).length, 0);
    const copied = copy.mock.results.reduce((sum, { value }) => sum + (value as number), 0);
    expect({ sliced, copied }).toEqual({ sliced: count, copied: 8 * count });
  });
});
