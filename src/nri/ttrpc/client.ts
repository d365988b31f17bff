import Long from 'long';
import { abortable } from '../../lib/async/abortable';
import { waitAtMost } from '../../lib/async/deadline';
import { messageOf, RuntimeError } from '../../lib/errors';
import type { Codec } from '../../proto/methods';
import { ttrpc } from '../../proto/nri';
import { type Mux, type MuxConnection, protocolError } from '../mux';
import { type Frame, FrameReader, REQUEST, RESPONSE, sendFrame } from './frame';
import { AnsweredError } from './status';

const NANOS_PER_MS = 1_000_000;
const LAST_STREAM = 0xffffffff;

interface Waiting {
  readonly resolve: (response: Uint8Array) => void;
  readonly reject: (error: RuntimeError) => void;
}

/** Calls the unary methods that the other end of a connection serves. */
export class TtrpcClient {
  private readonly connection: MuxConnection;
  private readonly waiting = new Map<number, Waiting>();
  /** Clients have the odd ids, which increase. */
  private nextStream = 1;
  private reason: RuntimeError | undefined;

  constructor(mux: Mux, id: number) {
    const frames = new FrameReader((frame) => this.onFrame(frame));
    this.connection = mux.open(id, {
      receive: (piece) => {
        try {
          frames.receive(piece);
        } catch (error) {
          this.connection.close(error instanceof RuntimeError ? error : protocolError(messageOf(error)));
        }
      },
      closed: (reason) => {
        this.reason = reason;
        for (const { reject } of this.waiting.values()) reject(reason);
        this.waiting.clear();
      },
    });
  }

  /**
   * Calls a method.
   * @param timeoutMs the limit of the whole call; the other end gets it too.
   * @throws AnsweredError with the other end's status; OversizedMessageError when the request is too large; RuntimeError DEADLINE_EXCEEDED
   * when no answer came in time, and the error that closed the connection.
   */
  async call<Request, Response>(
    service: string,
    method: string,
    codecs: { readonly request: Codec<Request>; readonly response: Codec<Response> },
    request: Request,
    timeoutMs: number,
  ): Promise<unknown> {
    const message = ttrpc.Request.encode({
      service,
      method,
      payload: codecs.request.encode(request).finish(),
      timeout_nano: Long.fromNumber(timeoutMs).multiply(NANOS_PER_MS),
    }).finish();
    const payload = await this.exchange(method, message, timeoutMs);
    try {
      return codecs.response.decode(payload);
    } catch (error) {
      throw this.broken(`the answer to ${method} cannot be decoded (${messageOf(error)})`);
    }
  }

  private async exchange(method: string, message: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const controller = new AbortController();
    let stream = 0;
    const answer = async (): Promise<Uint8Array> => {
      // The other end reads slowly. Without this wait, requests would pile up.
      await abortable(this.connection.drained(), controller.signal);
      if (this.reason !== undefined) throw this.reason;
      stream = this.takeStream();
      return new Promise<Uint8Array>((resolve, reject) => {
        sendFrame(this.connection, stream, REQUEST, message);
        this.waiting.set(stream, { resolve, reject });
      });
    };
    try {
      return await waitAtMost(method, timeoutMs, answer());
    } finally {
      controller.abort(new RuntimeError('CANCELLED', `${method} is over`));
      this.waiting.delete(stream);
    }
  }

  private takeStream(): number {
    const stream = this.nextStream;
    if (stream > LAST_STREAM) throw this.broken('all ids of streams are used up');
    this.nextStream += 2;
    return stream;
  }

  private onFrame({ stream, type, message }: Frame): void {
    if (type !== RESPONSE) return void this.broken(`a frame of type ${type} instead of an answer`);
    if (stream % 2 === 0 || stream >= this.nextStream)
      return void this.broken(`an answer on stream ${stream}, which has no request`);
    // Nobody waits anymore for an answer that comes too late.
    const waiting = this.waiting.get(stream);
    if (waiting === undefined) return;
    this.waiting.delete(stream);
    try {
      const { status, payload } = ttrpc.Response.decode(message);
      const code = status?.code ?? 0;
      if (code === 0) waiting.resolve(payload);
      else waiting.reject(new AnsweredError({ code, message: status?.message ?? '' }));
    } catch (error) {
      waiting.reject(this.broken(`an answer that cannot be decoded (${messageOf(error)})`));
    }
  }

  /** Closes the connection. */
  private broken(what: string): RuntimeError {
    const error = protocolError(what);
    this.connection.close(error);
    return error;
  }
}
