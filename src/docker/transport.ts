import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import Docker from 'dockerode';
import { withDeadline } from '../lib/async/deadline';
import { toRuntimeError } from './errors';

export interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** An array repeats its parameter. */
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: object;
  readonly tar?: Readable;
  readonly auth?: object | undefined;
  readonly hijack?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const ACCEPTED = { 200: true, 201: true, 204: true, 304: true };

/**
 * Sends requests through dockerode's modem and always reads the response ourselves: the modem never answers when a
 * response tears in the middle (dockerd killed), which would hang the caller to its deadline.
 */
export class EngineTransport {
  constructor(private readonly docker: Docker) {}

  /** Request and whole JSON answer; undefined for an empty one. */
  async json<T>(request: EngineRequest, timeoutMs: number): Promise<T> {
    const text = (await this.bytes(request, timeoutMs, Infinity)).toString('utf8');
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch (error) {
      throw toRuntimeError(error);
    }
  }

  /** Request and whole answer; empty when there is more than `limit`. */
  async bytes(request: EngineRequest, timeoutMs: number, limit: number): Promise<Buffer> {
    return withDeadline(
      `Docker Engine ${request.method} ${request.path}`,
      timeoutMs,
      request.signal,
      async (signal) => {
        const response = await this.stream({ ...request, signal });
        try {
          const chunks: Buffer[] = [];
          let size = 0;
          for await (const chunk of response as AsyncIterable<Buffer>) {
            size += chunk.length;
            // Leaving the loop destroys the response.
            if (size > limit) return Buffer.alloc(0);
            chunks.push(chunk);
          }
          return Buffer.concat(chunks);
        } catch (error) {
          throw toRuntimeError(error, signal);
        }
      },
    );
  }

  /** The response as it arrives; destroyed when the signal fires. */
  async stream(request: EngineRequest): Promise<IncomingMessage> {
    return (await this.dial(request)) as IncomingMessage;
  }

  /** The raw connection after the Engine's 101. */
  async hijack(request: EngineRequest): Promise<Duplex> {
    return (await this.dial({ ...request, hijack: true })) as Duplex;
  }

  private async dial(request: EngineRequest): Promise<unknown> {
    if (request.hijack !== true) return this.send(request);
    // The modem leaves the request open for what is to follow the upgrade. One that is refused has no other end.
    const unused = new AbortController();
    const { signal } = request;
    const onAbort = (): void => unused.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      return await this.send({ ...request, signal: unused.signal });
    } catch (error) {
      unused.abort();
      throw toRuntimeError(error, signal);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  private send(request: EngineRequest): Promise<unknown> {
    const { signal } = request;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(toRuntimeError(signal.reason, signal));
        return;
      }
      this.docker.modem.dial(
        {
          path: `${request.path}?`,
          method: request.method,
          options: { _query: request.query ?? {}, _body: request.body ?? {} },
          statusCodes: ACCEPTED,
          isStream: true,
          ...(request.hijack === true ? { hijack: true, openStdin: true, allowEmpty: true } : {}),
          ...(request.tar === undefined ? {} : { file: request.tar }),
          ...(request.auth === undefined ? {} : { authconfig: request.auth }),
          ...(signal === undefined ? {} : { abortSignal: signal }),
        },
        (error: unknown, result: unknown) => {
          if (error !== null && error !== undefined) reject(toRuntimeError(error, signal));
          else resolve(result);
        },
      );
    });
  }
}

/**
 * The Engine ends a terminal's stdin at a sequence of keys, ctrl-p ctrl-q unless told otherwise, and cannot be told to
 * do without one. This one is never typed: rare control keys, long enough to be no accident. The Engine holds its first
 * key back until the next one comes, so that is the one that shells, editors and telnet can best do without.
 */
export const DETACH_KEYS =
  'ctrl-^,ctrl-@,ctrl-^,ctrl-_,ctrl-^,ctrl-@,ctrl-_,ctrl-_,ctrl-^,ctrl-_,ctrl-@,ctrl-@,ctrl-_,ctrl-^,ctrl-@,ctrl-_';
