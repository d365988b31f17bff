import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { FileHandle } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { internal, messageOf, unavailable } from '../../lib/errors';
import type { DialReply, DialRequest } from './dial';

/** An idle helper ends after this time, because it holds its network namespace and about 40 MB of memory. */
const IDLE_MS = 30_000;

/** The program of a helper. It is in the same directory as this code, both in dist/ and in a package. */
const HELPER = join(__dirname, 'dial-helper.js');

/** Opens a network namespace. The caller closes the handle. */
export type OpenNetns = () => Promise<FileHandle>;

/** Values that tests replace. Production passes nothing. */
export interface DialersOverrides {
  /** The path of the built helper, for code that was not built. */
  readonly helper?: string | undefined;
  readonly idleMs?: number;
}

/** Connects inside network namespaces. Each namespace has one helper process, which is started when it is needed. */
export class NetnsDialers {
  private readonly dialers = new Map<string, NetnsDialer>();

  constructor(private readonly overrides: DialersOverrides = {}) {}

  /** Connects to the loopback interface of the namespace that `openNetns` opens. `key` identifies the namespace. */
  async connect(key: string, port: number, openNetns: OpenNetns): Promise<Socket> {
    let dialer = this.dialers.get(key);
    if (dialer === undefined) {
      const { helper = HELPER, idleMs = IDLE_MS } = this.overrides;
      dialer = new NetnsDialer(openNetns, helper, idleMs, () => {
        if (this.dialers.get(key) === dialer) this.dialers.delete(key);
      });
      this.dialers.set(key, dialer);
    }
    return dialer.connect(port);
  }

  /** Releases the namespace of a pod that ends. Established connections continue. */
  async release(key: string): Promise<void> {
    await this.dialers.get(key)?.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.dialers.values()].map((dialer) => dialer.close()));
  }
}

interface Waiter {
  resolve(socket: Socket): void;
  reject(error: Error): void;
}

class NetnsDialer {
  private readonly waiting = new Map<number, Waiter>();
  private readonly child: Promise<ChildProcess>;
  private idle: NodeJS.Timeout | undefined;
  private lastId = 0;
  private ended = false;

  constructor(
    openNetns: OpenNetns,
    private readonly helper: string,
    private readonly idleMs: number,
    private readonly onEnd: () => void,
  ) {
    this.child = this.start(openNetns);
    this.child.catch(() => this.end(unavailable('the namespace of the pod cannot be entered')));
  }

  async connect(port: number): Promise<Socket> {
    clearTimeout(this.idle);
    const id = ++this.lastId;
    const answer = new Promise<Socket>((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    // The answer is awaited below, but the helper may fail first.
    answer.catch(() => undefined);
    try {
      const child = await this.child;
      const request: DialRequest = { id, port };
      child.send(request, (error) => {
        if (error !== null) this.end(unavailable(`the helper in the pod has ended: ${error.message}`));
      });
      return await answer;
    } finally {
      this.waiting.delete(id);
      if (this.waiting.size === 0 && !this.ended) {
        this.idle = setTimeout(() => void this.close(), this.idleMs);
        this.idle.unref();
      }
    }
  }

  async close(): Promise<void> {
    this.end(unavailable('the pod is stopped'));
    const child = await this.child.catch(() => undefined);
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  private async start(openNetns: OpenNetns): Promise<ChildProcess> {
    const netns = await openNetns();
    try {
      // The namespace is passed by descriptor, because a path with a pid could belong to another process by now.
      const child = spawn('nsenter', ['--net=/proc/self/fd/4', process.execPath, this.helper], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc', netns.fd],
        env: { PATH: process.env.PATH },
      });
      child.on('message', (reply, socket) => this.onReply(reply as DialReply, socket));
      child.on('exit', () => this.end(unavailable('the helper in the pod has ended')));
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', (error) => reject(internal(`nsenter: ${messageOf(error)}`, { cause: error })));
      });
      return child;
    } finally {
      await netns.close();
    }
  }

  private onReply({ id, error }: DialReply, socket: unknown): void {
    const waiter = this.waiting.get(id);
    if (socket instanceof Socket) {
      socket.allowHalfOpen = true;
      if (waiter === undefined) socket.destroy();
      else waiter.resolve(socket);
    } else {
      waiter?.reject(unavailable(error ?? 'the connection was closed at once'));
    }
  }

  private end(why: Error): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.idle);
    this.onEnd();
    for (const waiter of this.waiting.values()) waiter.reject(why);
  }
}
