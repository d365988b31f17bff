import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { silentLogger } from '../../../../src/lib/logger';
import { SocketListener } from '../../../../src/server/listener/socket-listener';

const same = (bytes: Buffer): Buffer => bytes;
const method = (path: string, responseStream: boolean) => ({
  path,
  requestStream: false,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});

export const service = { echo: method('/t.T/Echo', false), stream: method('/t.T/Stream', true) };
export const ECHO = '/t.T/Echo';
export const STREAM = '/t.T/Stream';

export interface Fixture {
  directory: string;
  path: string;
  listener: SocketListener;
  server: grpc.Server;
  /** The metadata of the calls so far. */
  seen: grpc.Metadata[];
  /** Resolves when a `stream` call has been cancelled. */
  cancelled: Promise<void>;
  stop(): Promise<void>;
}

/** `stream` answers the request's text ten times. The text `endless` leaves the stream open after that. */
export async function startFixture(): Promise<Fixture> {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
  const path = join(directory, 'run', 'cri.sock');
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 1 << 24, 'grpc.enable_channelz': 0 });
  const seen: grpc.Metadata[] = [];
  let onCancelled = (): void => undefined;
  const cancelled = new Promise<void>((resolve) => (onCancelled = resolve));
  server.addService(service, {
    echo: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
      seen.push(call.metadata);
      reply(null, call.request);
    },
    stream: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      call.on('cancelled', onCancelled);
      for (let i = 0; i < 10; i += 1) call.write(call.request);
      if (call.request.toString() !== 'endless') call.end();
    },
  });
  const listener = new SocketListener({ endpoint: `unix://${path}`, logger: silentLogger });
  await listener.listen(server);
  const stop = async (): Promise<void> => {
    await listener.close();
    server.forceShutdown();
    await rm(directory, { recursive: true, force: true });
  };
  return { directory, path, listener, server, seen, cancelled, stop };
}

export interface EchoClient {
  echo(message: Buffer): Promise<Buffer>;
  close(): void;
}

/** A plain grpc-js client. */
export function grpcClient(path: string, authority?: string): EchoClient {
  const Client = grpc.makeClientConstructor(service, 't.T');
  const client = new Client(`unix:${path}`, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': 1 << 24,
    ...(authority === undefined ? {} : { 'grpc.default_authority': authority }),
  });
  type Echo = (message: Buffer, done: (error: Error | null, reply: Buffer) => void) => void;
  return {
    echo: (message) =>
      new Promise((resolve, reject) =>
        (client.echo as unknown as Echo)(message, (error, reply) => (error ? reject(error) : resolve(reply))),
      ),
    close: () => client.close(),
  };
}
