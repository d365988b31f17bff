import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SocketPair {
  readonly one: Socket;
  readonly other: Socket;
}

/** Runs a test with two ends of a real Unix socket, and closes both. */
export async function withSocketPair(test: (pair: SocketPair) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-nri-'));
  const server = createServer();
  try {
    server.listen(join(directory, 's'));
    await once(server, 'listening');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const one = connect(join(directory, 's'));
    const [other] = await accepted;
    try {
      await test({ one, other });
    } finally {
      one.destroy();
      other.destroy();
    }
  } finally {
    server.close();
    await rm(directory, { recursive: true, force: true });
  }
}
