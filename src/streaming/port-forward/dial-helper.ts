/*
 * A separate process that runs in a pod's network namespace. It connects to ports of the pod and passes the sockets to
 * the daemon.
 */
import { messageOf } from '../../lib/errors';
import { dialLoopback, type DialReply, type DialRequest } from './dial';

process.on('message', ({ id, port }: DialRequest) => {
  dialLoopback(port).then(
    (socket) => process.send?.({ id } satisfies DialReply, socket),
    (error: unknown) => process.send?.({ id, error: messageOf(error) } satisfies DialReply),
  );
});
// The daemon has ended. It kills a helper that it no longer needs.
process.on('disconnect', () => process.exit());
