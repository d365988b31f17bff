import * as grpc from '@grpc/grpc-js';
import { silentLogger, type LogFields } from '../../../src/lib/logger';
import { WorkGate } from '../../../src/lib/async/stopping';
import { RUNTIME_SERVICE } from '../../../src/proto/service';
import { wrapUnary, type CallReport, type WrapOptions } from '../../../src/server/call';
import type { CallContext } from '../../../src/server/services';
import { same, startOneMethodServer, type OneMethodServer } from './one-method-server';

export type Handler = (request: { version: string }, context: CallContext) => Promise<{ version: string }>;

export const echo: Handler = ({ version }) => Promise.resolve({ version });
export const HELLO = RUNTIME_SERVICE.Version.requestSerialize({ version: 'hello' });

interface Running {
  readonly call: grpc.ClientUnaryCall;
  readonly answer: Promise<Buffer>;
}

/** A server with one wrapped unary method, whose handler a test sets, and its client. */
export class VersionServer {
  handler = echo;
  before: WrapOptions['before'];
  readonly reports: CallReport[] = [];
  /** The lines that were logged as errors. */
  readonly errors: { message: string; fields: LogFields | undefined }[] = [];
  private onReport: () => void = () => undefined;
  private server!: OneMethodServer;

  static async start(): Promise<VersionServer> {
    const room = new VersionServer();
    const wrapped = wrapUnary<{ version: string }, { version: string }>(
      'Version',
      (request, context) => room.handler(request, context),
      {
        logger: { ...silentLogger, error: (message, fields) => void room.errors.push({ message, fields }) },
        calls: new WorkGate(),
        before: async (context) => room.before?.(context),
        observe: (report) => {
          room.reports.push(report);
          room.onReport();
        },
      },
    );
    room.server = await startOneMethodServer(
      { Version: RUNTIME_SERVICE.Version },
      wrapped as grpc.UntypedHandleCall,
      { 'grpc.max_receive_message_length': 1024 * 1024 },
    );
    return room;
  }

  get socketPath(): string {
    return this.server.socketPath;
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  /** Sends the bytes of a request as they are. */
  send(request: Buffer, options: grpc.CallOptions = {}): Running {
    let call!: grpc.ClientUnaryCall;
    const answer = new Promise<Buffer>((resolve, reject) => {
      call = this.server.client.makeUnaryRequest(
        RUNTIME_SERVICE.Version.path,
        same,
        same,
        request,
        new grpc.Metadata(),
        options,
        (error, reply) => (error ? reject(error) : resolve(reply ?? Buffer.alloc(0))),
      );
    });
    answer.catch(() => undefined);
    return { call, answer };
  }

  /** Returns the error of a call, which must fail. */
  async failure(): Promise<{ code: string | undefined; details: string }> {
    const error = (await this.send(HELLO).answer.then(
      () => {
        throw new Error('the call should have failed');
      },
      (thrown: unknown) => thrown,
    )) as grpc.ServiceError;
    return { code: grpc.status[error.code], details: error.details };
  }

  /** Checks that the server answers the next call, whatever happened before. */
  async expectAlive(): Promise<void> {
    [this.handler, this.before] = [echo, undefined];
    const { version } = RUNTIME_SERVICE.Version.responseDeserialize(await this.send(HELLO).answer);
    expect(version).toBe('hello');
  }

  /** Resolves with the next report. */
  reported(): Promise<void> {
    return new Promise((resolve) => (this.onReport = resolve));
  }
}
