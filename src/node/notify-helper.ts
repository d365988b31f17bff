import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { getSystemErrorName } from 'node:util';
import { waitAtMost } from '../lib/async/deadline';

const LIMIT_MS = 5_000;

/**
 * A small program that lives as long as this process and sends what it is told to systemd's datagram socket, which Node cannot
 * open (native/notify-helper; docs/adr/0071-a-helper-for-signs-of-life.md). It starts with the first message, and again after
 * it has failed.
 */
export class NotifyHelper {
  private running: Conversation | undefined;

  /** @param socket the value of NOTIFY_SOCKET. */
  constructor(
    private readonly program: string,
    private readonly socket: string,
    private readonly limitMs = LIMIT_MS,
  ) {}

  /**
   * Resolves once the message is in systemd's socket.
   * @throws Error that says why it is not: no such program, it ended, it does not answer, or the socket's errno.
   */
  async send(message: string): Promise<void> {
    if (this.running?.hasEnded === true) this.running = undefined;
    const conversation = (this.running ??= new Conversation(this.program, this.socket));
    let answer: string;
    try {
      answer = await waitAtMost('The notify helper', this.limitMs, conversation.ask(message));
    } catch (error) {
      // Its later answers would be taken for those to other messages.
      conversation.end();
      if (this.running === conversation) this.running = undefined;
      throw error;
    }
    if (answer !== '0') throw new Error(`systemd's socket refuses the message: ${errnoName(answer)}`);
  }

  end(): void {
    this.running?.end();
    this.running = undefined;
  }
}

/** One life of the helper. It answers each line with a line, in their order. */
class Conversation {
  private readonly child: ChildProcess;
  /** Its standard input; undefined where this process has no descriptors left for a child. */
  private readonly input: Socket | undefined;
  private readonly waiting: { resolve: (answer: string) => void; reject: (error: Error) => void }[] = [];
  private failure: Error | undefined;

  constructor(program: string, socket: string) {
    this.child = spawn(program, [], { stdio: ['pipe', 'pipe', 'ignore'], env: {} });
    this.child.once('error', (error) => this.fail(error));
    this.child.once('exit', (code, signal) =>
      this.fail(new Error(`the notify helper ended: ${signal ?? `exit code ${code}`}`)),
    );
    // Node's types know neither that pipes are sockets, nor that they are missing without descriptors.
    const { stdin, stdout } = this.child as unknown as { stdin?: Socket; stdout?: Socket };
    this.input = stdin;
    if (stdin === undefined || stdout === undefined) return;
    // A broken pipe means that it has ended, and its exit tells more.
    stdin.on('error', () => undefined);
    createInterface({ input: stdout }).on('line', (line) => this.waiting.shift()?.resolve(line));
    // It must not keep a process alive that has nothing else to do.
    this.child.unref();
    stdin.unref();
    stdout.unref();
    stdin.write(`${socket}\n`);
  }

  get hasEnded(): boolean {
    return this.failure !== undefined;
  }

  async ask(message: string): Promise<string> {
    if (this.failure !== undefined) throw this.failure;
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.input?.write(`${message}\n`);
    });
  }

  end(): void {
    this.child.kill('SIGKILL');
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.waiting.splice(0)) reject(this.failure);
  }
}

function errnoName(answer: string): string {
  const errno = Number(answer);
  return Number.isInteger(errno) && errno > 0 ? getSystemErrorName(-errno) : answer;
}
