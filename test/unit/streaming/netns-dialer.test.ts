import { spawn, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import type { FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { NetnsDialers } from '../../../src/streaming/port-forward/netns-dialer';
import { settle } from '../support/async';
import { rejectionOf } from '../support/errors';
import { socketPair } from './support/sockets';

jest.mock('node:child_process', () => ({ spawn: jest.fn() }));

/** The helper process in the namespace, as its parent sees it. */
class FakeChild extends EventEmitter {
  exitCode: number | null = null;
  signalCode: NodeJS.Signals | null = null;
  readonly sent: { id: number; port: number }[] = [];
  readonly kills: string[] = [];
  sendError: Error | null = null;

  send(message: { id: number; port: number }, done: (error: Error | null) => void): boolean {
    this.sent.push(message);
    done(this.sendError);
    return true;
  }

  kill(signal: string): boolean {
    this.kills.push(signal);
    return true;
  }

  exit(code: number | null, signal: NodeJS.Signals | null = null): void {
    [this.exitCode, this.signalCode] = [code, signal];
    this.emit('exit', code, signal);
  }

  reply(message: { id: number; error?: string }, socket?: unknown): void {
    this.emit('message', message, socket);
  }
}

class FakeHandle {
  closed = 0;
  constructor(readonly fd: number) {}
  close(): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }
}

const IDLE_MS = 5_000;

describe('connections into namespaces', () => {
  let children: FakeChild[];
  let handles: FakeHandle[];
  let dialers: NetnsDialers;
  let sockets: Socket[];
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    [children, handles, sockets] = [[], [], []];
    jest.mocked(spawn).mockReset();
    jest.mocked(spawn).mockImplementation(() => {
      const child = new FakeChild();
      children.push(child);
      setImmediate(() => child.emit('spawn'));
      return child as EventEmitter as ChildProcess;
    });
    dialers = new NetnsDialers({ idleMs: IDLE_MS });
  });
  afterEach(async () => {
    for (const child of children) child.exit(0);
    await dialers.close();
    for (const socket of sockets) socket.destroy();
    // The timer of an idle helper would otherwise fire after the dialer is closed.
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  const openNetns = (): Promise<FileHandle> => {
    const handle = new FakeHandle(40 + handles.length);
    handles.push(handle);
    return Promise.resolve(handle as unknown as FileHandle);
  };
  async function aSocket(): Promise<Socket> {
    const { near, far } = await socketPair();
    sockets.push(near, far);
    near.allowHalfOpen = false;
    return near;
  }
  /** Requests a connection, and returns it with its helper. */
  async function asked(key = 'a', port = 80): Promise<{ socket: Promise<Socket>; child: FakeChild }> {
    const socket = dialers.connect(key, port, openNetns);
    socket.catch(() => undefined);
    await settle();
    return { socket, child: children.at(-1)! };
  }

  it('are made by a helper that enters the namespace by its handle, which is then closed', async () => {
    const { socket, child } = await asked('a', 8080);
    const [command, args, options] = jest.mocked(spawn).mock.calls[0]!;
    expect([command, args.slice(0, 2)]).toEqual(['nsenter', ['--net=/proc/self/fd/4', process.execPath]]);
    expect(args[2]).toMatch(/\/streaming\/port-forward\/dial-helper\.js$/);
    expect(args).toHaveLength(3);
    expect(options).toEqual({
      stdio: ['ignore', 'ignore', 'inherit', 'ipc', 40],
      env: { PATH: process.env.PATH },
    });
    expect(handles.map(({ closed }) => closed)).toEqual([1]);
    expect(child.sent).toEqual([{ id: 1, port: 8080 }]);
    const made = await aSocket();
    child.reply({ id: 1 }, made);
    expect(await socket).toBe(made);
    expect(made.allowHalfOpen).toBe(true);
  });

  it('share a helper, each with its own answer, but only within one namespace', async () => {
    const { socket: first, child } = await asked('a', 80);
    const { socket: second } = await asked('a', 81);
    const { socket: other, child: otherChild } = await asked('b', 82);
    expect(children).toHaveLength(2);
    expect(child.sent).toEqual([
      { id: 1, port: 80 },
      { id: 2, port: 81 },
    ]);
    expect(otherChild.sent).toEqual([{ id: 1, port: 82 }]);
    const [one, two] = [await aSocket(), await aSocket()];
    child.reply({ id: 2 }, two);
    child.reply({ id: 1 }, one);
    otherChild.reply({ id: 1, error: '127.0.0.1: connection refused (ECONNREFUSED)' });
    expect([await first, await second]).toEqual([one, two]);
    expect(await rejectionOf(other)).toBe('UNAVAILABLE 127.0.0.1: connection refused (ECONNREFUSED)');
  });

  it('are closed if nobody waits for them, and an answer without a connection is an error', async () => {
    const { socket, child } = await asked();
    const stray = await aSocket();
    child.reply({ id: 7 }, stray);
    expect(stray.destroyed).toBe(true);
    child.reply({ id: 7, error: 'for nobody' });
    child.reply({ id: 1 });
    expect(await rejectionOf(socket)).toBe('UNAVAILABLE the connection was closed at once');
  });

  it('share a helper that is killed after it has been unused for a while, and not earlier', async () => {
    const { socket: first, child } = await asked();
    jest.advanceTimersByTime(10 * IDLE_MS);
    expect(child.kills).toEqual([]);
    const { socket: second } = await asked();
    child.reply({ id: 1 }, await aSocket());
    await first;
    // One caller still waits.
    expect(jest.getTimerCount()).toBe(0);
    child.reply({ id: 2 }, await aSocket());
    await second;
    await settle();
    jest.advanceTimersByTime(IDLE_MS - 1);
    const { socket: third } = await asked();
    child.reply({ id: 3, error: 'no' });
    await rejectionOf(third);
    await settle();
    jest.advanceTimersByTime(IDLE_MS - 1);
    await settle();
    expect(child.kills).toEqual([]);
    jest.advanceTimersByTime(1);
    await settle();
    expect(child.kills).toEqual(['SIGKILL']);
    // The next connection gets a helper of its own.
    await asked();
    expect(children).toHaveLength(2);
    expect(handles.map(({ closed }) => closed)).toEqual([1, 1]);
  });

  it('that callers still wait for fail when the pod ends, and `release` resolves only after the helper has exited', async () => {
    const { socket, child } = await asked('a');
    const { child: other } = await asked('b');
    let isReleased = false;
    const released = dialers.release('a').then(() => (isReleased = true));
    expect(await rejectionOf(socket)).toBe('UNAVAILABLE the pod is stopped');
    await settle();
    expect([isReleased, child.kills, other.kills]).toEqual([false, ['SIGKILL'], []]);
    child.exit(null, 'SIGKILL');
    await released;
    expect(child.listenerCount('exit')).toBe(1);
    await dialers.release('a');
    await dialers.release('never seen');
    expect(child.kills).toEqual(['SIGKILL']);
  });

  it.each<[string, number | null, NodeJS.Signals | null]>([
    ['by itself', 0, null],
    ['with an error', 1, null],
    ['by a signal', null, 'SIGKILL'],
  ])('fail when the helper ends %s, and the ended helper is not killed', async (_, code, signal) => {
    const { socket, child } = await asked();
    child.exit(code, signal);
    expect(await rejectionOf(socket)).toBe('UNAVAILABLE the helper in the pod has ended');
    await dialers.close();
    expect(child.kills).toEqual([]);
    const { child: next } = await asked();
    expect(next).not.toBe(child);
  });

  it('fail when the helper does not accept messages any more', async () => {
    const { socket: first, child } = await asked();
    child.reply({ id: 1 }, await aSocket());
    await first;
    child.sendError = new Error('channel closed');
    const { socket } = await asked();
    expect(await rejectionOf(socket)).toBe('UNAVAILABLE the helper in the pod has ended: channel closed');
    const { child: next } = await asked();
    expect(next).not.toBe(child);
  });

  it('fail when there is no nsenter, and the next one tries again', async () => {
    jest.mocked(spawn).mockImplementationOnce(() => {
      const child = new FakeChild();
      setImmediate(() => child.emit('error', new Error('spawn nsenter ENOENT')));
      return child as EventEmitter as ChildProcess;
    });
    const { socket } = await asked();
    expect(await rejectionOf(socket)).toBe('INTERNAL nsenter: spawn nsenter ENOENT');
    expect(handles.map(({ closed }) => closed)).toEqual([1]);
    const { child } = await asked();
    expect(child.sent).toHaveLength(1);
  });

  it('fail when the namespace cannot be opened, and the next one tries again', async () => {
    const failing = dialers.connect('a', 80, () => Promise.reject(new Error('ENOENT')));
    const late = dialers.connect('a', 81, openNetns);
    await expect(failing).rejects.toThrow('ENOENT');
    await expect(late).rejects.toThrow('ENOENT');
    expect([spawn, handles]).toEqual([expect.any(Function), []]);
    await dialers.release('a');
    const { child } = await asked();
    expect(child.sent).toHaveLength(1);
  });

  it('that callers wait for all fail when the dialers are closed, and the helpers are killed', async () => {
    const both = [await asked('a'), await asked('b')];
    const closed = dialers.close();
    for (const { socket, child } of both) {
      expect(await rejectionOf(socket)).toBe('UNAVAILABLE the pod is stopped');
      const exited = once(child, 'exit');
      await settle();
      expect(child.kills).toEqual(['SIGKILL']);
      child.exit(null, 'SIGKILL');
      await exited;
    }
    await closed;
  });
});
