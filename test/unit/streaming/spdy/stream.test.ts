import type { Headers } from '../../../../src/streaming/spdy/headers';
import { SpdyStream, type StreamPort } from '../../../../src/streaming/spdy/stream';
import { waitingCost } from '../../../../src/streaming/waiting-cost';
import { settle } from '../../support/async';

const HEADERS: Headers = new Map([['streamtype', 'data']]);
const KIB = 1024;
const cost = (...lengths: number[]): number =>
  lengths.reduce((sum, length) => sum + waitingCost(Buffer.alloc(length)), 0);

/** The calls of a stream to its connection, in order. Sent data is done when the test calls its `done`. */
class FakePort implements StreamPort {
  readonly calls: string[] = [];
  readonly done: ((error?: Error | null) => void)[] = [];

  sendData(id: number, data: Buffer, fin: boolean, done: (error?: Error | null) => void): void {
    this.calls.push(`data ${id} ${data.length}${fin ? ' fin' : ''}`);
    this.done.push(done);
  }
  sendReset(id: number): void {
    this.calls.push(`reset ${id}`);
  }
  taken(bytes: number): void {
    if (bytes > 0) this.calls.push(`taken ${bytes}`);
  }
  grant(id: number, bytes: number): void {
    this.calls.push(`grant ${id} ${bytes}`);
  }
  forget({ id }: SpdyStream): void {
    this.calls.push(`forget ${id}`);
  }
}

describe('SpdyStream', () => {
  let port: FakePort;
  let stream: SpdyStream;
  beforeEach(() => {
    port = new FakePort();
    stream = new SpdyStream(5, HEADERS, port);
  });

  const said = (): string[] => port.calls.splice(0);

  it('keeps data that nobody reads, and counts its cost until somebody does', async () => {
    stream.receive(Buffer.from('abc'), false);
    stream.receive(Buffer.alloc(0), false);
    stream.receive(Buffer.from('de'), false);
    expect([said(), stream.untaken]).toEqual([[], cost(3, 2)]);
    const pieces: string[] = [];
    stream.on('data', (data: Buffer) => pieces.push(data.toString()));
    await settle();
    expect(pieces).toEqual(['abc', 'de']);
    expect([said(), stream.untaken]).toEqual([[`taken ${cost(3)}`, `taken ${cost(2)}`], 0]);
    // There is a reader now.
    stream.receive(Buffer.from('f'), false);
    expect([pieces.at(-1), said()]).toEqual(['f', [`taken ${cost(1)}`]]);
  });

  it('grants the peer the bytes that were read, in steps of half a window, and none after the peer has ended', async () => {
    stream.resume();
    stream.receive(Buffer.alloc(32 * KIB - 1), false);
    await settle();
    expect(said()).toEqual([`taken ${cost(32 * KIB - 1)}`]);
    stream.receive(Buffer.alloc(1), false);
    await settle();
    expect(said()).toEqual([`taken ${cost(1)}`, `grant 5 ${32 * KIB}`]);
    stream.receive(Buffer.alloc(1), false);
    await settle();
    expect(said()).toEqual([`taken ${cost(1)}`]);
    stream.receive(Buffer.alloc(40 * KIB), true);
    await settle();
    expect(said()).toEqual([`taken ${cost(40 * KIB)}`]);
  });

  it('ends after the data before the end, and drops later data', async () => {
    const read: (string | null)[] = [];
    stream.receive(Buffer.from('last'), true);
    stream.receive(Buffer.from('too late'), false);
    expect([said(), stream.untaken]).toEqual([[`taken ${cost(8)}`], cost(4)]);
    stream.on('data', (data: Buffer) => read.push(data.toString())).on('end', () => read.push(null));
    await settle();
    expect(read).toEqual(['last', null]);
    expect(said()).toEqual([`taken ${cost(4)}`]);
    expect(stream.destroyed).toBe(false);
  });

  it('sends pieces of 64 KiB, each when the previous one has gone, and then its end', async () => {
    const written = jest.fn();
    stream.write(Buffer.alloc(130 * KIB), written);
    stream.end();
    expect(said()).toEqual([`data 5 ${64 * KIB}`]);
    port.done.shift()?.(null);
    expect(said()).toEqual([`data 5 ${64 * KIB}`]);
    port.done.shift()?.();
    expect([said(), written.mock.calls]).toEqual([[`data 5 ${2 * KIB}`], []]);
    port.done.shift()?.();
    await settle();
    expect(said()).toEqual(['data 5 0 fin']);
    expect(written).toHaveBeenCalledTimes(1);
    port.done.shift()?.();
    await settle();
    expect(stream.writableFinished).toBe(true);
  });

  it('stops sending after a failure', async () => {
    const written = jest.fn();
    stream.write(Buffer.alloc(130 * KIB), written);
    const failure = new Error('the connection is closed');
    port.done.shift()?.(failure);
    await settle();
    expect(written.mock.calls).toEqual([[failure]]);
    expect(said()).toEqual([`data 5 ${64 * KIB}`, 'reset 5', 'forget 5']);
  });

  it('is reset when it is destroyed, and releases the waiting data', async () => {
    stream.receive(Buffer.from('abc'), false);
    stream.receive(Buffer.from('d'), false);
    stream.destroy();
    await settle();
    expect([said(), stream.untaken]).toEqual([[`taken ${cost(3, 1)}`, 'reset 5', 'forget 5'], 0]);
  });

  it('is reset when only one side has ended, and not when both have', async () => {
    stream.receive(Buffer.alloc(0), true);
    stream.destroy();
    await settle();
    expect(said()).toEqual(['reset 5', 'forget 5']);

    const ours = new SpdyStream(7, HEADERS, port);
    ours.end();
    port.done.shift()?.();
    await settle();
    ours.destroy();
    await settle();
    expect(said()).toEqual(['data 7 0 fin', 'reset 7', 'forget 7']);

    const both = new SpdyStream(9, HEADERS, port);
    both.resume();
    both.end();
    port.done.shift()?.();
    both.receive(Buffer.alloc(0), true);
    await settle();
    expect([said(), both.destroyed]).toEqual([['data 9 0 fin', 'forget 9'], true]);
  });

  it('sends nothing to a peer that has reset it, and gives its reader the reason', async () => {
    const closed = jest.fn();
    stream.on('close', closed);
    const why = new Error('the peer has reset the stream');
    stream.abandon(why);
    await settle();
    expect([said(), stream.errored]).toEqual([['forget 5'], why]);
    expect(closed).toHaveBeenCalledTimes(1);
  });

  it('gives a slow reader one piece at a time, and counts the pieces that wait', async () => {
    const read: string[] = [];
    stream.on('data', (piece: Buffer) => {
      stream.pause();
      read.push(piece.toString());
    });
    await settle();
    for (const piece of ['ab', 'c', 'd', 'efg']) stream.receive(Buffer.from(piece), piece === 'efg');
    await settle();
    // One more piece is ready to be read. The others wait where they are counted.
    expect([read, said(), stream.untaken]).toEqual([
      ['ab'],
      [`taken ${cost(2)}`, `taken ${cost(1)}`],
      cost(1, 3),
    ]);
    for (let piece = 0; piece < 4; piece++) {
      stream.resume();
      await settle();
    }
    expect([read, stream.untaken]).toEqual([['ab', 'c', 'd', 'efg'], 0]);
    expect(stream.readableEnded).toBe(true);
  });
});
