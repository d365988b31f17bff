import type { Duplex } from 'node:stream';
import { RuntimeError, unavailable } from '../../lib/errors';

/** Each takes a descriptor of this process. */
const MAX_CONNECTIONS = 1000;

interface Connection {
  readonly sandboxId: string;
  socket?: Duplex;
  /** Whether its pod has ended before it was there. */
  tooLate?: boolean;
}

/** Connections into pods, which end with their pod. */
export class PodConnections {
  private readonly connections = new Set<Connection>();

  constructor(private readonly limit = MAX_CONNECTIONS) {}

  /** @throws RESOURCE_EXHAUSTED when there are too many; what `connect` throws. */
  async open(sandboxId: string, connect: () => Promise<Duplex>): Promise<Duplex> {
    if (this.connections.size >= this.limit)
      throw new RuntimeError(
        'RESOURCE_EXHAUSTED',
        `${this.limit} connections are forwarded into pods: no more`,
      );
    const connection: Connection = { sandboxId };
    this.connections.add(connection);
    try {
      const socket = await connect();
      connection.socket = socket;
      if (connection.tooLate === true || socket.destroyed) {
        socket.destroy();
        throw unavailable('the pod is stopped');
      }
      return socket.once('close', () => this.connections.delete(connection));
    } catch (error) {
      this.connections.delete(connection);
      throw error;
    }
  }

  /** The pod has ended. */
  close(sandboxId: string): void {
    for (const connection of this.connections) {
      if (connection.sandboxId !== sandboxId) continue;
      connection.tooLate = true;
      connection.socket?.destroy();
    }
  }
}
