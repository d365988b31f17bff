import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../lib/errors';
import { toJson, type Json } from '../../proto/fields';
import { methodOf } from '../methods';
import { matcher } from '../pattern';
import type { CriProxy } from '../proxy/cri-proxy';
import { framed, MessageSplitter, type GrpcMessage } from '../proxy/grpc-messages';
import { answerError, collect, deliver, relay, type IncomingCall, type ResponseFilter } from '../proxy/relay';
import { Subjects, TELLING } from '../subjects';
import type { Recorder } from '../tape/recorder';
import { Dice } from './dice';
import { OldAnswers } from './old-answers';
import type { Fault, Rule } from './plan';

export interface Injected {
  readonly method: string;
  readonly pod: string | undefined;
  readonly fault: Fault;
  readonly rule: number;
}

export interface InterfererOptions {
  readonly rules: readonly Rule[];
  readonly seed: number;
  readonly proxy: Pick<CriProxy, 'listen' | 'close'>;
  readonly recorder: Pick<Recorder, 'write' | 'now'> | undefined;
  readonly onInjected: (injected: Injected) => void;
  readonly warn: (text: string) => void;
}

/** Stands between client and runtime, and does to each call what the plan says. A call that no rule meets passes as it is. */
export class Interferer {
  readonly #options: InterfererOptions;
  readonly #dice: Dice;
  readonly #old = new OldAnswers();
  readonly #subjects = new Subjects();
  readonly #isRemembered: (method: string) => boolean;
  readonly #needsPods: boolean;
  readonly #stopping = new AbortController();
  #isDown = false;

  constructor(options: InterfererOptions) {
    this.#options = options;
    const { rules, seed } = options;
    this.#dice = new Dice(rules, seed);
    const stale = rules
      .filter(({ fault }) => fault.kind === 'stale')
      .map(({ match }) => matcher(match.method));
    this.#isRemembered = (method) => stale.some((matches) => matches(method));
    this.#needsPods = rules.some(({ match }) => match.pod !== undefined);
  }

  /** Takes a call from the proxy. */
  handle(call: IncomingCall): void {
    this.#handle(call).catch((error: unknown) =>
      answerError(call, 'INTERNAL', `dockbridge cri fault: ${messageOf(error)}`),
    );
  }

  /** Ends waits that are under way, and the time without a socket. */
  stop(): void {
    this.#stopping.abort();
  }

  async #handle(call: IncomingCall): Promise<void> {
    const body = await bodyOf(call);
    if (body === undefined) return;
    const { name = call.path, streams = false, request: type } = methodOf(call.path) ?? {};
    const request = this.#needsPods ? jsonOf(type, body) : undefined;
    const { pod } = this.#subjects.of(request);
    const drawn = this.#dice.draw({ method: name, pod, streams });
    if (drawn !== undefined && this.#isPossible(drawn.rule.fault, call, body)) {
      this.#tell(call, { method: name, pod, fault: drawn.rule.fault, rule: drawn.at });
      if (await this.#inject(call, body, drawn.rule.fault, streams)) return;
    }
    await this.#pass(call, body, name, request);
  }

  /** There is no old answer to a question that nobody has asked yet, so nothing is injected or reported. */
  #isPossible(fault: Fault, { path }: IncomingCall, body: Buffer): boolean {
    return fault.kind !== 'stale' || this.#old.asOf(path, body, fault.ms) !== undefined;
  }

  /** @returns false if the call shall pass now. */
  async #inject(call: IncomingCall, body: Buffer, fault: Fault, streams: boolean): Promise<boolean> {
    const { tap, path } = call;
    switch (fault.kind) {
      case 'delay':
        return !(await this.#waited(call, fault.ms));
      case 'hang':
        return !(await this.#waited(call, undefined));
      case 'error':
        answerError(call, fault.failure.code, fault.failure.text);
        return true;
      case 'lose_answer':
        // The content of the answer is dropped; the fault needs only that the runtime has answered.
        if ((await collect(call, body)) !== undefined)
          answerError(call, fault.failure.code, fault.failure.text);
        return true;
      case 'drop_connection':
        tap.closed({ by: 'proxy', reset: undefined });
        call.drop();
        return true;
      case 'cut':
        relay(call, { body, filter: cutAfter(fault.after) });
        return true;
      case 'duplicate':
        if (streams) {
          relay(call, { body, filter: twice() });
          return true;
        }
        // As if the client had lost the answer and asked again: it gets the second one.
        return (await collect(call, body)) === undefined;
      case 'stale': {
        const old = this.#old.asOf(path, body, fault.ms);
        // The runtime is asked too, because a later call may get this answer as its old one.
        const fresh = await collect(call, body);
        if (fresh === undefined) return true;
        this.#old.keep(path, body, fresh);
        deliver(call, old ?? fresh);
        return true;
      }
      case 'restart':
        tap.closed({ by: 'proxy', reset: undefined });
        await this.#restart(fault.ms);
        return true;
    }
  }

  async #pass(call: IncomingCall, body: Buffer, name: string, request: Json | undefined): Promise<void> {
    const learns = this.#needsPods && TELLING.has(name);
    const { streams = false, response } = methodOf(call.path) ?? {};
    if (streams || (!learns && !this.#isRemembered(name))) {
      relay(call, { body });
      return;
    }
    const answer = await collect(call, body);
    if (answer === undefined) return;
    if (this.#isRemembered(name)) this.#old.keep(call.path, body, answer);
    if (learns) this.#subjects.learn(name, request, jsonOf(response, answer.data));
    deliver(call, answer);
  }

  /** @returns whether the call still waits for its answer then. */
  async #waited({ stream, tap }: IncomingCall, ms: number | undefined): Promise<boolean> {
    const gone = new AbortController();
    const { signal } = this.#stopping;
    const end = (): void => gone.abort();
    stream.once('close', end);
    signal.addEventListener('abort', end);
    const forever = new Promise<void>((resolve) => gone.signal.addEventListener('abort', () => resolve()));
    if (ms === undefined) await forever;
    else await delay(ms, undefined, { signal: gone.signal }).catch(() => undefined);
    signal.removeEventListener('abort', end);
    stream.off('close', end);
    if (!gone.signal.aborted) return true;
    // The proxy stops, and closes the connection next.
    if (signal.aborted) tap.closed({ by: 'proxy', reset: undefined });
    else tap.closed({ by: 'client', reset: stream.rstCode });
    return false;
  }

  /** One at a time: calls that would begin another meet a socket that is gone already. */
  async #restart(ms: number): Promise<void> {
    if (this.#isDown) return;
    this.#isDown = true;
    const { proxy, warn } = this.#options;
    await proxy.close();
    const { signal } = this.#stopping;
    await delay(ms, undefined, { signal }).catch(() => undefined);
    this.#isDown = false;
    if (signal.aborted) return;
    await proxy.listen().catch((error: unknown) => warn(`the socket is not back: ${messageOf(error)}`));
  }

  #tell({ tap, path }: IncomingCall, injected: Injected): void {
    const { recorder, onInjected } = this.#options;
    const { n } = tap;
    recorder?.write({
      ...{ kind: 'fault', t: recorder.now(), path, fault: injected.fault.kind, rule: injected.rule },
      ...(n === undefined ? {} : { n }),
    });
    onInjected(injected);
  }
}

/** The whole request: CRI has no method whose client streams. @returns undefined if the client went away. */
async function bodyOf({ stream, tap }: IncomingCall): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    tap.requestBytes(chunk);
    chunks.push(chunk);
  });
  const isWhole = await new Promise<boolean>((resolve) => {
    stream.once('end', () => resolve(!stream.aborted));
    stream.once('close', () => resolve(false));
    // Node ends a request without a byte at once, also while the call waits for the connection to the runtime.
    if (stream.readableEnded) resolve(!stream.aborted);
    if (stream.destroyed) resolve(false);
  });
  if (isWhole) return Buffer.concat(chunks);
  tap.closed({ by: 'client', reset: stream.rstCode });
  return undefined;
}

/** The first message of a body; undefined if it cannot be read, which is for the runtime to handle. */
function jsonOf(type: string | undefined, body: Buffer): Json | undefined {
  const [message] = new MessageSplitter().feed(body);
  if (type === undefined || message?.bytes === undefined || message.compressed) return undefined;
  try {
    return toJson(type, message.bytes);
  } catch {
    return undefined;
  }
}

/** Lets this many messages through. */
function cutAfter(messages: number): ResponseFilter {
  const splitter = new MessageSplitter(Infinity);
  let left = messages;
  return (chunk) => {
    const complete = splitter.feed(chunk);
    const passed = complete.slice(0, Math.max(0, left));
    left -= complete.length;
    return { pass: Buffer.concat(passed.map(again)), cut: complete.length > 0 && left <= 0 };
  };
}

/** Sends each message twice. */
function twice(): ResponseFilter {
  const splitter = new MessageSplitter(Infinity);
  return (chunk) => ({
    pass: Buffer.concat(splitter.feed(chunk).flatMap((message) => [again(message), again(message)])),
    cut: false,
  });
}

function again({ bytes = Buffer.alloc(0), compressed }: GrpcMessage): Buffer {
  return framed(bytes, compressed);
}
