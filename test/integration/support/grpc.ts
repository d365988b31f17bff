import {
  credentials,
  makeClientConstructor,
  status,
  type Client,
  type ClientUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import { IMAGE_SERVICE, RUNTIME_SERVICE } from '../../../src/proto/service';

/** Returns the error of a call that must fail. */
export async function failureOf(call: Promise<unknown>): Promise<ServiceError> {
  let result: unknown;
  try {
    result = await call;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error(`the call should have failed, but answered ${JSON.stringify(result)}`);
}

/** Expects the call to fail with this status and the text `what`. */
export async function expectFailure(
  call: Promise<unknown>,
  code: keyof typeof status,
  what?: string | RegExp,
): Promise<void> {
  const error = await failureOf(call);
  expect({ code: status[error.code], details: error.details }).toEqual({
    code,
    details: expect.stringMatching(what ?? '') as string,
  });
}

type Method = (request: object, callback?: (error: ServiceError | null) => void) => unknown;

export interface OpenCall {
  /** Settles as the call does. */
  readonly ended: Promise<unknown>;
  cancel(): void;
}

/** A client for calls that CriClient cannot make: calls to cancel, and calls of streaming methods. */
export class RawClient {
  private readonly clients: readonly Client[];

  constructor(endpoint: string) {
    const target = endpoint.replace(/^unix:\/\//, 'unix:');
    this.clients = [RUNTIME_SERVICE, IMAGE_SERVICE].map(
      (service) => new (makeClientConstructor(service, 'Service'))(target, credentials.createInsecure()),
    );
  }

  open(method: string, request: object): OpenCall {
    let call: ClientUnaryCall | undefined;
    const ended = new Promise((resolve, reject) => {
      call = this.method(method)(request, (error) => {
        if (error === null) resolve(undefined);
        else reject(error);
      }) as ClientUnaryCall;
    });
    ended.catch(() => undefined);
    return { ended, cancel: () => call?.cancel() };
  }

  /** Calls a streaming method, and resolves with the number of messages at its end. */
  async stream(method: string, request: object): Promise<number> {
    const messages = this.method(method)(request) as AsyncIterable<unknown>;
    let count = 0;
    for await (const message of messages) if (message !== undefined) count++;
    return count;
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  private method(name: string): Method {
    for (const client of this.clients) {
      const method = (client as unknown as Record<string, Method | undefined>)[name];
      if (method !== undefined) return method.bind(client);
    }
    throw new Error(`there is no method ${name}`);
  }
}
