import { abortable } from '../../lib/async/abortable';
import { sharedAbortController, withDeadline } from '../../lib/async/deadline';
import { messageOf, RuntimeError } from '../../lib/errors';
import type { Codec } from '../../proto/methods';
import { ttrpc } from '../../proto/nri';
import { type Mux, type MuxConnection, protocolError } from '../mux';
import { type Frame, FrameReader, OversizedMessageError, REQUEST, RESPONSE, sendFrame } from './frame';
import { type Status, statusOf } from './status';

/** How many requests may run at a time. More are refused, so a peer cannot make us keep many. */
const MAX_RUNNING = 16;
/** The limit of a request for which the client sets none, in ms. */
const DEFAULT_TIMEOUT_MS = 60_000;
const NANOS_PER_MS = 1_000_000;

/** A method without its types. `serve` makes it. */
export interface ServedMethod {
  handle(payload: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/**
 * Makes a method of a server.
 * @param handle gets the decoded request, and a signal that fires at the client's deadline and when the connection closes. An error is answered
 * with its code.
 */
export function served<Request, Response>(
  codecs: { readonly request: Codec<Request>; readonly response: Codec<Response> },
  handle: (request: unknown, signal: AbortSignal) => Promise<Response>,
): ServedMethod {
  return {
    handle: async (payload, signal) => {
      let request: unknown;
      try {
        request = codecs.request.decode(payload);
      } catch (error) {
        throw new RuntimeError('INVALID_ARGUMENT', `the request cannot be decoded (${messageOf(error)})`, {
          cause: error,
        });
      }
      return codecs.response.encode(await handle(request, signal)).finish();
    },
  };
}

/** The methods of one service, by name. */
export type ServedMethods = ReadonlyMap<string, ServedMethod>;

/** Serves unary methods on a connection. */
export class TtrpcServer {
  private readonly connection: MuxConnection;
  private readonly ending = sharedAbortController();
  private running = 0;
  private lastStream = 0;

  constructor(
    mux: Mux,
    id: number,
    private readonly service: string,
    private readonly methods: ServedMethods,
  ) {
    const frames = new FrameReader((frame) => this.onFrame(frame));
    this.connection = mux.open(id, {
      receive: (piece) => {
        try {
          frames.receive(piece);
        } catch (error) {
          this.connection.close(error instanceof RuntimeError ? error : protocolError(messageOf(error)));
        }
      },
      closed: (reason) => this.ending.abort(reason),
    });
  }

  private onFrame(frame: Frame): void {
    const fault = this.faultOf(frame);
    if (fault !== undefined) {
      this.answer(frame.stream, { status: fault });
      return;
    }
    this.lastStream = frame.stream;
    void this.run(frame);
  }

  /** Returns why a frame is refused. */
  private faultOf({ stream, type, flags }: Frame): Status | undefined {
    const refused = (
      code: 'INVALID_ARGUMENT' | 'UNIMPLEMENTED' | 'RESOURCE_EXHAUSTED',
      why: string,
    ): Status => statusOf(new RuntimeError(code, why));
    if (type !== REQUEST) return refused('INVALID_ARGUMENT', `a frame of type ${type} is not a request`);
    if (flags !== 0) return refused('UNIMPLEMENTED', 'no method of this server streams');
    if (stream % 2 !== 1) return refused('INVALID_ARGUMENT', `stream ${stream} is not odd`);
    if (stream <= this.lastStream)
      return refused('INVALID_ARGUMENT', `stream ${stream} is not above ${this.lastStream}`);
    if (this.running >= MAX_RUNNING)
      return refused('RESOURCE_EXHAUSTED', `${MAX_RUNNING} requests are running`);
    return undefined;
  }

  private async run({ stream, message }: Frame): Promise<void> {
    this.running++;
    try {
      this.answer(stream, { payload: await this.handle(message) });
    } catch (error) {
      this.answer(stream, { status: statusOf(error) });
    } finally {
      this.running--;
    }
  }

  private async handle(message: Uint8Array): Promise<Uint8Array> {
    const { service, method, payload, timeout_nano } = decodeRequest(message);
    const served = service === this.service ? this.methods.get(method) : undefined;
    if (served === undefined)
      throw new RuntimeError('UNIMPLEMENTED', `${service}/${method} is not served here`);
    const nanos = Number(timeout_nano);
    const timeoutMs = nanos > 0 ? nanos / NANOS_PER_MS : DEFAULT_TIMEOUT_MS;
    return withDeadline(method, timeoutMs, this.ending.signal, (signal) =>
      abortable(served.handle(payload, signal), signal),
    );
  }

  private answer(stream: number, response: ttrpc.IResponse): void {
    try {
      sendFrame(this.connection, stream, RESPONSE, ttrpc.Response.encode(response).finish());
    } catch (error) {
      if (!(error instanceof OversizedMessageError)) throw error;
      this.answer(stream, { status: statusOf(error) });
    }
  }
}

function decodeRequest(message: Uint8Array): ttrpc.Request {
  try {
    return ttrpc.Request.decode(message);
  } catch (error) {
    throw new RuntimeError('INVALID_ARGUMENT', `the request cannot be decoded (${messageOf(error)})`, {
      cause: error,
    });
  }
}
