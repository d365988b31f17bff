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
import type { Fault, Rule } from './fault-plan';

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

/** Injects the faults of a plan into calls between clients and the runtime. A call to which no rule applies passes unchanged. */
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

  /** Handles a call of the proxy: injects a fault, or passes the call on. */
  handle(call: IncomingCall): void {
    this.#handle(call).catch((error: unknown) =>
      answerError(call, 'INTERNAL', `dockbridge cri fault: ${messageOf(error)}`),
    );
  }

  /** Ends all delays and hangs, and the time without a socket during a restart. */
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

  /** Returns whether the fault can be injected. `stale` needs an earlier answer to the same request; without one, the call passes. */
  #isPossible(fault: Fault, { path }: IncomingCall, body: Buffer): boolean {
    return fault.kind !== 'stale' || this.#old.asOf(path, body, fault.ms) !== undefined;
  }

  /** Injects a fault. @returns false if the call is to be passed on now. */
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
        // The answer is dropped. The fault only requires that the runtime has executed the call.
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
        // The first answer is dropped, as if the client had lost it and called again.
        return (await collect(call, body)) === undefined;
      case 'stale': {
        const old = this.#old.asOf(path, body, fault.ms);
        // The runtime is called too, because a later call may get this answer as its old answer.
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

  /** Waits for `ms`; if undefined, until the call ends. @returns whether the client still waits for an answer. */
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
    // If the proxy stops, it closes the connection next, so the proxy is what ended the call.
    if (signal.aborted) tap.closed({ by: 'proxy', reset: undefined });
    else tap.closed({ by: 'client', reset: stream.rstCode });
    return false;
  }

  /** Closes the socket for a time. Does nothing during a restart, because the socket is already closed. */
  async #restart(ms: number): Promise<void> {
    if (this.#isDown) return;
    this.#isDown = true;
    const { proxy, warn } = this.#options;
    await proxy.close();
    const { signal } = this.#stopping;
    await delay(ms, undefined, { signal }).catch(() => undefined);
    this.#isDown = false;
    if (signal.aborted) return;
    await proxy
      .listen()
      .catch((error: unknown) => warn(`the socket could not be opened again: ${messageOf(error)}`));
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

/** Reads the whole request, because no CRI method has a request stream. @returns undefined if the client went away. */
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
    // Node.js ends an empty request at once, possibly before this function is called.
    if (stream.readableEnded) resolve(!stream.aborted);
    if (stream.destroyed) resolve(false);
  });
  if (isWhole) return Buffer.concat(chunks);
  tap.closed({ by: 'client', reset: stream.rstCode });
  return undefined;
}

/** Returns the first message of a body; undefined if it cannot be read. The runtime then reports the error. */
function jsonOf(type: string | undefined, body: Buffer): Json | undefined {
  const [message] = new MessageSplitter().feed(body);
  if (type === undefined || message?.bytes === undefined || message.compressed) return undefined;
  try {
    return toJson(type, message.bytes);
  } catch {
    return undefined;
  }
}

/** Returns a filter that passes this many messages and then cuts the call. */
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

/** Returns a filter that passes each message twice. */
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
