/* A process of its own, started inside a pod's network namespace: connects and hands the sockets back. */
import { messageOf } from '../../lib/errors';
import { dialLoopback, type DialReply, type DialRequest } from './dial';

process.on('message', ({ id, port }: DialRequest) => {
  dialLoopback(port).then(
    (socket) => process.send?.({ id } satisfies DialReply, socket),
    (error: unknown) => process.send?.({ id, error: messageOf(error) } satisfies DialReply),
  );
});
// The daemon is done with us, or gone.
process.on('disconnect', () => process.exit());
