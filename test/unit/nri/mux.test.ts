import { once } from 'node:events';
import type { Socket } from 'node:net';
import { MAX_PAYLOAD_BYTES, Mux, type MuxReader } from '../../../src/nri/mux';
import { until } from '../support/async';
import { withSocketPair } from './sockets';

class Collector implements MuxReader {
  bytes = Buffer.alloc(0);
  reason: string | undefined;
  receive(piece: Uint8Array): void {
    this.bytes = Buffer.concat([this.bytes, piece]);
  }
  closed(reason: Error): void {
    this.reason = reason.message;
  }
}

function frame(id: number, payload: string, length = payload.length): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(id, 0);
  header.writeUInt32BE(length, 4);
  return Buffer.concat([header, Buffer.from(payload)]);
}

/** Returns a multiplexer with connections 1 and 2 over a socket. */
function muxOver(socket: Socket): { mux: Mux; readers: [Collector, Collector] } {
  const mux = new Mux(socket);
  const readers: [Collector, Collector] = [new Collector(), new Collector()];
  readers.forEach((reader, at) => mux.open(at + 1, reader));
  return { mux, readers };
}

describe('Mux', () => {
  it('puts the id and the length before each payload', () =>
    withSocketPair(async ({ one, other }) => {
      const connection = new Mux(one).open(7, new Collector());
      connection.send([Buffer.from('ab'), Buffer.from('c')]);
      let received = Buffer.alloc(0);
      other.on('data', (chunk) => (received = Buffer.concat([received, chunk])));
      await until(() => received.length >= 19);
      expect(received).toEqual(Buffer.concat([frame(7, 'ab'), frame(7, 'c')]));
    }));

  it('gives each connection its payloads, wherever the bytes are cut', () =>
    withSocketPair(async ({ one, other }) => {
      const { mux, readers } = muxOver(one);
      mux.start();
      const bytes = Buffer.concat([frame(1, 'first'), frame(2, ''), frame(2, 'other'), frame(1, 'second')]);
      for (const byte of bytes) {
        other.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await until(() => readers[0].bytes.length === 11);
      expect(readers.map(({ bytes }) => bytes.toString())).toEqual(['firstsecond', 'other']);
    }));

  it('ignores frames of connections that are not open', () =>
    withSocketPair(async ({ one, other }) => {
      const { mux, readers } = muxOver(one);
      mux.start();
      other.write(Buffer.concat([frame(9, 'nobody'), frame(1, 'me')]));
      await until(() => readers[0].bytes.length > 0);
      expect(readers.map(({ bytes }) => bytes.toString())).toEqual(['me', '']);
    }));

  it('reads nothing before it is started', () =>
    withSocketPair(async ({ one, other }) => {
      const { mux, readers } = muxOver(one);
      other.write(frame(1, 'early'));
      await once(one, 'readable');
      expect(readers[0].bytes).toHaveLength(0);
      mux.start();
      await until(() => readers[0].bytes.length === 5);
    }));

  it('closes the socket at a frame that is too long, before its payload comes', () =>
    withSocketPair(async ({ one, other }) => {
      const { mux, readers } = muxOver(one);
      mux.start();
      other.write(frame(1, '', MAX_PAYLOAD_BYTES + 1));
      await once(other.resume(), 'close');
      expect(readers.map(({ reason }) => reason)).toEqual(
        Array(2).fill(`the other end broke the protocol: a frame of ${MAX_PAYLOAD_BYTES + 1} bytes`),
      );
    }));

  it('accepts the longest frame', () =>
    withSocketPair(async ({ one, other }) => {
      const { mux, readers } = muxOver(one);
      mux.start();
      let received = 0;
      readers[1].receive = (piece) => void (received += piece.length);
      other.write(frame(2, 'x'.repeat(MAX_PAYLOAD_BYTES)));
      await until(() => received === MAX_PAYLOAD_BYTES);
      expect(readers[1].reason).toBeUndefined();
    }));

  it('tells every connection once that the other end has closed', () =>
    withSocketPair(async ({ one, other }) => {
      const { mux, readers } = muxOver(one);
      mux.start();
      other.end();
      expect((await mux.closed).message).toBe('the other end closed the connection');
      expect(readers.map(({ reason }) => reason)).toEqual(
        Array(2).fill('the other end closed the connection'),
      );
    }));

  it.each([0, -1, 1.5, 2 ** 32, 1])('refuses to open the connection %d', (id) =>
    withSocketPair(({ one }) => {
      const { mux } = muxOver(one);
      expect(() => mux.open(id, new Collector())).toThrow(id === 1 ? 'is open' : 'no connection has the id');
      return Promise.resolve();
    }),
  );

  it('stops reading while the other end does not read, and lets its writers wait', () =>
    withSocketPair(async ({ one, other }) => {
      const { mux, readers } = muxOver(one);
      const connection = mux.open(3, new Collector());
      mux.start();
      other.pause();
      const payload = Buffer.alloc(1024 * 1024);
      while (one.writableLength <= 8 * 1024 * 1024) connection.send([payload]);
      expect(one.isPaused()).toBe(true);
      let isDrained = false;
      const drained = connection.drained().then(() => (isDrained = true));
      other.write(frame(1, 'later'));
      await until(() => one.readableLength > 0);
      expect([readers[0].bytes.length, isDrained]).toEqual([0, false]);
      other.resume();
      await drained;
      await until(() => readers[0].bytes.length === 5);
    }));

  it('frees its waiting writers when it closes', () =>
    withSocketPair(async ({ one, other }) => {
      const { mux } = muxOver(one);
      const connection = mux.open(3, new Collector());
      other.pause();
      while (!one.writableNeedDrain) connection.send([Buffer.alloc(1024 * 1024)]);
      const drained = connection.drained();
      other.destroy();
      await drained;
      expect((await mux.closed).code).toBe('UNAVAILABLE');
    }));
});
