import { randomUUID } from 'node:crypto';
import { hasCode } from '../../../lib/errors';
import type { ContainerdConnection, Place } from './connection';

/** Marks the leases of `dockbridge migrate images`. Its value is the pid of the command. */
const OWNER = 'io.dockbridge.migrate-images';
/** Content of an interrupted command stays for so long. */
const KEPT_MS = 24 * 3600_000;

/**
 * Creates a lease, which keeps what a command has written from containerd's garbage collector until an image record leads to it.
 * If nobody deletes the lease, it ends after 24 hours.
 */
export async function createLease(
  connection: ContainerdConnection,
  namespace: string,
  now: Date,
): Promise<string> {
  const id = `dockbridge-migrate-${randomUUID()}`;
  const expires = new Date(now.getTime() + KEPT_MS).toISOString();
  const labels = { 'containerd.io/gc.expire': expires, [OWNER]: String(process.pid) };
  await connection.call('createLease', { id, labels }, { namespace });
  return id;
}

/** Deletes a lease and those of commands that were killed. The other commands that still run keep theirs. */
export async function deleteLeases(
  connection: ContainerdConnection,
  { namespace, lease }: Place,
  isAlive: (pid: number) => boolean,
): Promise<void> {
  const { leases } = await connection.call('listLeases', { filters: [`labels."${OWNER}"`] }, { namespace });
  const done = leases.filter(({ id, labels }) => id === lease || !isAlive(Number(labels[OWNER])));
  for (const { id } of done)
    await connection.call('deleteLease', { id }, { namespace }).catch((error: unknown) => {
      if (!hasCode(error, 'NOT_FOUND')) throw error;
    });
}
