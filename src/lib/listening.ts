import type { Server } from 'node:net';

/** Call it in the same tick as `listen`. Rejects with the listen error. */
export function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      server.off('listening', settle).off('error', settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    server.once('listening', settle).once('error', settle);
  });
}
