import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { getSystemErrorName } from 'node:util';
import { waitAtMost } from '../lib/async/deadline';

const LIMIT_MS = 5_000;

/**
 * A small program that sends messages to systemd's datagram socket, because Node cannot open such sockets
 * (native/notify-helper; docs/adr/0071-a-helper-for-signs-of-life.md). It is started for the first message, and again after it
 * has failed. It runs as long as this process.
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
   * Resolves when the message is in systemd's socket.
   * @throws Error with the reason: the program is missing, has ended or does not answer, or the socket's errno.
   */
  async send(message: string): Promise<void> {
    if (this.running?.hasEnded === true) this.running = undefined;
    const conversation = (this.running ??= new Conversation(this.program, this.socket));
    let answer: string;
    try {
      answer = await waitAtMost('The notify helper', this.limitMs, conversation.ask(message));
    } catch (error) {
      // The program is killed, because a late answer would be taken for the answer to another message.
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

/** One run of the helper program. It answers each line with one line, in the same order. */
class Conversation {
  private readonly child: ChildProcess;
  /** The helper's standard input; undefined when this process had no descriptors left for a child. */
  private readonly input: Socket | undefined;
  private readonly waiting: { resolve: (answer: string) => void; reject: (error: Error) => void }[] = [];
  private failure: Error | undefined;

  constructor(program: string, socket: string) {
    this.child = spawn(program, [], { stdio: ['pipe', 'pipe', 'ignore'], env: {} });
    this.child.once('error', (error) => this.fail(error));
    this.child.once('exit', (code, signal) =>
      this.fail(new Error(`the notify helper ended: ${signal ?? `exit code ${code}`}`)),
    );
    // Node's types do not express that pipes are sockets, nor that they are missing when no descriptors are left.
    const { stdin, stdout } = this.child as unknown as { stdin?: Socket; stdout?: Socket };
    this.input = stdin;
    if (stdin === undefined || stdout === undefined) return;
    // A broken pipe means that the helper has ended. Its exit, which is reported too, says more.
    stdin.on('error', () => undefined);
    createInterface({ input: stdout }).on('line', (line) => this.waiting.shift()?.resolve(line));
    // The helper must not keep this process alive when the process has nothing else to do.
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
