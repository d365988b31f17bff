import type { WebSocket } from 'ws';
import { messageOf } from '../../lib/errors';
import { WebSocketChannels } from '../websocket/channels';
import type { ChannelProtocol } from '../websocket/protocols';
import { forward, type Connect } from './forward';

/**
 * The older form of port-forward: one connection for each port of the request, on channels 2n (data) and 2n + 1
 * (error), which begin with the port's number, little-endian. Resolves when the client has left.
 */
export async function forwardOverChannels(
  socket: WebSocket,
  protocol: ChannelProtocol,
  ports: readonly number[],
  connect: Connect,
  stalled: AbortSignal,
): Promise<void> {
  const channels = new WebSocketChannels(socket, protocol);
  const letGo = (): void => channels.close(messageOf(stalled.reason));
  stalled.addEventListener('abort', letGo, { once: true });
  const forwarded = ports.map(async (port, index) => {
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    const data = channels.open(2 * index);
    const error = channels.open(2 * index + 1);
    data.write(number);
    error.write(number);
    await forward(connect, port, data, error);
  });
  await Promise.all(forwarded);
  channels.close();
}
