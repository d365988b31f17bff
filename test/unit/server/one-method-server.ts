import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';

/** A grpc-js server with one method on a socket of its own, and a client for the bytes on the wire. */
export interface OneMethodServer {
  readonly socketPath: string;
  readonly client: grpc.Client;
  stop(): Promise<void>;
}

export async function startOneMethodServer(
  definition: grpc.ServiceDefinition,
  handler: grpc.UntypedHandleCall,
  limits: grpc.ServerOptions,
): Promise<OneMethodServer> {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
  const socketPath = join(directory, 'sock');
  const target = `unix:${socketPath}`;
  const server = new grpc.Server({ ...limits, 'grpc.enable_channelz': 0 });
  server.addService(definition, Object.fromEntries(Object.keys(definition).map((name) => [name, handler])));
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(target, grpc.ServerCredentials.createInsecure(), (error) => {
      if (error) reject(error);
      else resolve();
    }),
  );
  const client = new grpc.Client(target, grpc.credentials.createInsecure());
  const stop = async (): Promise<void> => {
    client.close();
    server.forceShutdown();
    await rm(directory, { recursive: true, force: true });
  };
  return { socketPath, client, stop };
}

/** A serializer that returns the bytes as they are. */
export const same = (bytes: Buffer): Buffer => bytes;
