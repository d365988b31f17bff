import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf, RuntimeError } from '../../lib/errors';
import { ended } from '../remotecommand/client';

/** Connects to one port. */
export type Connect = (port: number, signal: AbortSignal) => Promise<Duplex>;

/**
 * One forwarded connection: bytes both ways with half-closes until both sides have ended. A port that does not answer
 * is told on `error`; everything else of the session lives on. Never rejects.
 */
export async function forward(connect: Connect, port: number, data: Duplex, error: Duplex): Promise<void> {
  // The client says nothing there.
  error.resume();
  const left = new AbortController();
  // Not on its 'end': a client may end its half before we have connected.
  data.once('close', () => left.abort(new Error('the client has left')));
  try {
    const socket = await connect(port, left.signal);
    await splice(data, socket);
  } catch (failure) {
    error.write(`port ${port}: ${messageOf(failure)}`);
    data.resume();
  } finally {
    await Promise.all([ended(data), ended(error)]);
    data.destroy();
    error.destroy();
  }
}

/** Ends when both directions have; an error of either side ends both, and is no news: that is how connections end. */
async function splice(data: Duplex, socket: Duplex): Promise<void> {
  const both = await Promise.allSettled([pipeline(data, socket), pipeline(socket, data)]);
  socket.destroy();
  // Ours to end it, and to tell why.
  if (data.errored instanceof RuntimeError) throw data.errored;
  if (both.some(({ status }) => status === 'rejected')) data.destroy();
}
