import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { watchStall } from '../../../src/streaming/session-limits';

const LIMIT_MS = 10_000;
const LAST_WORDS_MS = 3_000;

/** A socket whose peer accepts data when the test says so. */
class FakeSocket extends EventEmitter {
  bytesWritten = 0;
  writableLength = 0;
  destroyed = false;

  send(bytes: number): void {
    this.bytesWritten += bytes;
    this.writableLength += bytes;
  }

  take(bytes: number): void {
    this.writableLength -= bytes;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

describe('watchStall', () => {
  let socket: FakeSocket;
  let stalled: AbortSignal;
  beforeEach(() => {
    jest.useFakeTimers();
    socket = new FakeSocket();
    stalled = watchStall(socket as EventEmitter as Socket, LIMIT_MS, LAST_WORDS_MS);
  });
  afterEach(() => jest.useRealTimers());

  it('fires when the peer has accepted nothing for the limit, destroys the socket later, and leaves no timer', () => {
    socket.send(100);
    // The first check records the position, and ten more find it unchanged.
    jest.advanceTimersByTime(LIMIT_MS);
    expect(stalled.aborted).toBe(false);
    jest.advanceTimersByTime(LIMIT_MS / 10);
    expect(stalled.reason).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: 'the client has read nothing for 10 s',
    });
    jest.advanceTimersByTime(LAST_WORDS_MS - 1);
    expect(socket.destroyed).toBe(false);
    jest.advanceTimersByTime(1);
    expect(socket.destroyed).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('does not fire for a peer that accepts a byte now and then, or for an empty queue', () => {
    socket.send(100);
    for (let round = 0; round < 10; round++) {
      jest.advanceTimersByTime(LIMIT_MS - 1);
      socket.take(1);
    }
    socket.take(90);
    jest.advanceTimersByTime(10 * LIMIT_MS);
    expect(stalled.aborted).toBe(false);
  });

  it.each([
    ['during the checks', 0],
    ['while the final message waits', LIMIT_MS + LIMIT_MS / 10],
  ])('leaves no timer when the socket closes %s', (_, ms) => {
    socket.send(100);
    jest.advanceTimersByTime(ms);
    expect(jest.getTimerCount()).toBe(1);
    socket.emit('close');
    expect(jest.getTimerCount()).toBe(0);
  });
});
