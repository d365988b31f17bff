import { open, type FileHandle } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { failedPrecondition, messageOf, RuntimeError, unavailable, unsupported } from '../../lib/errors';
import { isInContainer } from '../../node/cgroup';
import { NamespaceMode } from '../../proto/enums';
import type { SandboxRecord } from '../../store/records';
import { dialLoopback } from '../../streaming/port-forward/dial';
import type { NetnsDialers } from '../../streaming/port-forward/netns-dialer';
import { isReady } from '../../store/states';
import type { Services } from '../services';

/**
 * Connects to a port of the pod's loopback interface.
 * @throws UNAVAILABLE naming the pod, the port, and the error of each address.
 */
export async function connectToPod(
  { store, settings }: Pick<Services, 'store' | 'settings'>,
  dialers: NetnsDialers,
  sandboxId: string,
  port: number,
): Promise<Duplex> {
  const sandbox = store.sandboxes.get(sandboxId);
  if (sandbox === undefined || !isReady(sandbox))
    throw failedPrecondition(`pod sandbox ${sandboxId} is not ready`);
  if (!settings.localEngine)
    throw unsupported('port_forward', 'dockbridge cannot reach the pods of a remote Engine');
  const isOnNode = sandbox.namespaces.network === NamespaceMode.NODE;
  try {
    if (isOnNode) return await dialLoopback(port);
    return await dialers.connect(sandbox.id, port, () => openNetns(sandbox));
  } catch (error) {
    const { namespace, name } = sandbox.metadata;
    const where = isOnNode
      ? "the node's network, which the pod shares"
      : `the network namespace of sandbox ${sandbox.id}`;
    throw unavailable(
      `cannot connect to port ${port} of pod ${namespace}/${name} in ${where}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Checks the pid after opening: the open handle cannot change, but the pid may have belonged to another process. */
async function openNetns({ id, pid }: SandboxRecord): Promise<FileHandle> {
  const handle = await open(`/proc/${pid}/ns/net`);
  if (await isInContainer(pid, id)) return handle;
  await handle.close();
  throw unavailable(`the pause process of sandbox ${id} has ended`);
}

/** Each connection takes a descriptor of this process. */
const MAX_CONNECTIONS = 1000;

interface Connection {
  readonly sandboxId: string;
  socket?: Duplex;
  /** Whether the pod ended before the connection was established. */
  tooLate?: boolean;
}

/** Connections into pods. They are closed when their pod ends. */
export class PodConnections {
  private readonly connections = new Set<Connection>();

  constructor(private readonly limit = MAX_CONNECTIONS) {}

  /** @throws RESOURCE_EXHAUSTED when there are too many; what `connect` throws. */
  async open(sandboxId: string, connect: () => Promise<Duplex>): Promise<Duplex> {
    if (this.connections.size >= this.limit)
      throw new RuntimeError(
        'RESOURCE_EXHAUSTED',
        `${this.limit} connections are forwarded into pods, which is the limit`,
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

  /** Closes the connections of a pod that has ended. */
  close(sandboxId: string): void {
    for (const connection of this.connections) {
      if (connection.sandboxId !== sandboxId) continue;
      connection.tooLate = true;
      connection.socket?.destroy();
    }
  }
}
