import { EventEmitter } from 'node:events';
import { connect, type Socket } from 'node:net';
import { dialLoopback } from '../../../src/streaming/port-forward/dial';
import { settle } from '../support/async';

jest.mock('node:net', () => ({ ...jest.requireActual<object>('node:net'), connect: jest.fn() }));

class FakeSocket extends EventEmitter {
  paused = false;
  pause(): void {
    this.paused = true;
  }
  destroy(error: Error): void {
    this.emit('error', error);
  }
}

describe('a connection over loopback', () => {
  let sockets: FakeSocket[];
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    sockets = [];
    jest.mocked(connect).mockReset();
    jest.mocked(connect).mockImplementation(() => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket as EventEmitter as Socket;
    });
  });
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });
  const refusal = (code?: string): Error => Object.assign(new Error('refused by the test'), { code });

  it('is paused before it is open, half-open, and keeps no listener of ours', async () => {
    const dialled = dialLoopback(80);
    expect(sockets[0]!.paused).toBe(true);
    sockets[0]!.emit('connect');
    const socket = await dialled;
    expect(socket).toBe(sockets[0]);
    expect([socket.listenerCount('error'), socket.listenerCount('connect')]).toEqual([0, 0]);
    expect(jest.mocked(connect).mock.calls).toEqual([[{ host: '127.0.0.1', port: 80, allowHalfOpen: true }]]);
  });

  it('is tried over IPv6 if IPv4 refuses it', async () => {
    const dialled = dialLoopback(80);
    sockets[0]!.emit('error', refusal('ECONNREFUSED'));
    await settle();
    sockets[1]!.emit('connect');
    expect(await dialled).toBe(sockets[1]);
    expect(jest.mocked(connect).mock.calls[1]).toEqual([{ host: '::1', port: 80, allowHalfOpen: true }]);
  });

  it('fails with the error of each address', async () => {
    const dialled = dialLoopback(80);
    sockets[0]!.emit('error', refusal('EHOSTUNREACH'));
    await settle();
    sockets[1]!.emit('error', refusal());
    await expect(dialled).rejects.toThrow(/^127\.0\.0\.1: EHOSTUNREACH; ::1: refused by the test$/);
  });

  it('has ten seconds for each address', async () => {
    const dialled = dialLoopback(80);
    dialled.catch(() => undefined);
    await jest.advanceTimersByTimeAsync(9_999);
    expect(sockets).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    await settle();
    expect(sockets).toHaveLength(2);
    sockets[1]!.emit('error', refusal('ECONNREFUSED'));
    await expect(dialled).rejects.toThrow(
      /^127\.0\.0\.1: no answer within 10 s; ::1: connection refused \(ECONNREFUSED\)$/,
    );
  });
});
