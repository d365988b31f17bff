import { Worker, type MessagePort, type WorkerOptions } from 'node:worker_threads';
import { messageOf, RuntimeError, type ErrorCode } from './errors';

/** Starts a thread that runs the module `entry`. Throws when no thread can be started. */
export type StartWorker = (entry: string, options: WorkerOptions) => Worker;

export const startWorker: StartWorker = (entry, options) => new Worker(entry, options);

/** A call on its way to a worker thread. */
export interface Request<Call> {
  readonly id: number;
  readonly call: Call;
}

/** The answer to a call. */
export interface Reply<Answer> {
  readonly id: number;
  readonly answer?: Answer;
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

/** The id of requests that need no reply. */
export const NOBODY_WAITS = 0;

interface Pending<Call, Answer> {
  readonly call: Call;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: RuntimeError) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

/**
 * The calls that a worker thread has not answered yet. They outlive the worker, because they can be sent again to the next
 * worker.
 */
export class PendingCalls<Call, Answer> {
  private readonly pending = new Map<number, Pending<Call, Answer>>();
  private lastId = NOBODY_WAITS;

  get size(): number {
    return this.pending.size;
  }

  /** Lists all open requests, to send them again. */
  requests(): Request<Call>[] {
    return [...this.pending].map(([id, { call }]) => ({ id, call }));
  }

  /**
   * @param send posts the request to the worker. It may do nothing while there is no worker, because the next worker gets
   * everything that `requests` lists.
   * @param limit how long to wait (ms), and the error with which the call rejects after that. Without a limit, the caller waits
   * until `settle` or `reject`.
   */
  make(
    call: Call,
    send: (request: Request<Call>) => void,
    limit?: { readonly ms: number; readonly error: () => RuntimeError },
  ): Promise<Answer> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const timer = limit && setTimeout(() => this.take(id)?.reject(limit.error()), limit.ms);
      this.pending.set(id, { call, resolve, reject, timer });
      try {
        send({ id, call });
      } catch (error) {
        this.take(id);
        throw error;
      }
    });
  }

  /** Called when a reply has arrived. A reply that nobody waits for is dropped. */
  settle({ id, answer, error }: Reply<Answer>): void {
    const pending = this.take(id);
    if (error === undefined) pending?.resolve(answer as Answer);
    else pending?.reject(new RuntimeError(error.code, error.message));
  }

  /** Rejects the calls for which `isMeant` returns true. */
  reject(error: RuntimeError, isMeant: (call: Call) => boolean = () => true): void {
    for (const { id, call } of this.requests()) if (isMeant(call)) this.take(id)?.reject(error);
  }

  private take(id: number): Pending<Call, Answer> | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }
}

/** Implements the worker's side: answers each request at the port with the value to which `handle` resolves. */
export function answerCalls<Call, Answer>(
  port: MessagePort,
  handle: (call: Call) => Promise<Answer>,
  onAnswered: (call: Call) => void = () => undefined,
): void {
  port.on('message', ({ id, call }: Request<Call>) => {
    handle(call).then(
      (answer) => {
        port.postMessage({ id, answer } satisfies Reply<Answer>);
        onAnswered(call);
      },
      (error: unknown) => {
        const code = error instanceof RuntimeError ? error.code : 'INTERNAL';
        port.postMessage({ id, error: { code, message: messageOf(error) } } satisfies Reply<Answer>);
      },
    );
  });
}
