import { randomUUID } from 'node:crypto';
import { readlink } from 'node:fs/promises';
import { hasCode, internal } from '../../../lib/errors';
import { processName } from '../../../node/process/process-info';
import type { Selection } from '../selection';
import type { ContainerdConnection, Place } from './connection';

/** Marks the leases of `dockbridge migrate images`. Its value describes the command (`ownerText`). */
const OWNER = 'io.dockbridge.migrate-images';
const EXPIRES = 'containerd.io/gc.expire';
/** How long, in ms, the content of an interrupted command stays. */
const KEPT_MS = 24 * 3600_000;

/** The command that made a lease. */
export interface Owner {
  readonly selection: Selection;
  /** The pid namespace, as /proc/self/ns/pid names it. A pid means nothing outside of its namespace. */
  readonly pidNamespace: string;
  /** `PID START BOOT`, which is never used again. */
  readonly name: string;
}

type Connection = Pick<ContainerdConnection, 'call'>;

/** Describes this process. */
export async function thisOwner(selection: Selection): Promise<Owner> {
  const name = await processName(process.pid);
  if (name === undefined) throw internal('/proc does not identify this process');
  return { selection, pidNamespace: await readlink('/proc/self/ns/pid'), name };
}

/**
 * Creates a lease. It protects what a command has written from containerd's garbage collector until an image record leads to it.
 * If nobody deletes the lease, it ends after 24 hours.
 */
export async function createLease(
  connection: Connection,
  namespace: string,
  now: Date,
  owner: Owner,
): Promise<string> {
  const id = `dockbridge-migrate-${randomUUID()}`;
  const expires = new Date(now.getTime() + KEPT_MS).toISOString();
  const labels = { [EXPIRES]: expires, [OWNER]: ownerText(owner) };
  await connection.call('createLease', { id, labels }, { namespace });
  return id;
}

/**
 * Deletes the lease of a command that has carried all its images, and leases that nobody needs any more: expired ones, and those of
 * ended commands that selected no other images. The lease of a running command stays. The lease of an interrupted command that
 * selected more images stays too, because the next run of that command continues from what the lease keeps.
 */
export async function deleteLeases(
  connection: Connection,
  { namespace, lease }: Place,
  own: Owner,
  now: Date,
): Promise<void> {
  const { leases } = await connection.call('listLeases', { filters: [`labels."${OWNER}"`] }, { namespace });
  for (const { id, labels } of leases) {
    if (id !== lease && !isExpired(labels[EXPIRES], now) && !(await isSucceeded(labels[OWNER], own)))
      continue;
    await connection.call('deleteLease', { id }, { namespace }).catch((error: unknown) => {
      if (!hasCode(error, 'NOT_FOUND')) throw error;
    });
  }
}

function isExpired(expires: string | undefined, now: Date): boolean {
  return expires !== undefined && Date.parse(expires) < now.getTime();
}

/** Returns whether the command of a lease has certainly ended, and `own` has carried what that command selected. */
async function isSucceeded(text: string | undefined, own: Owner): Promise<boolean> {
  const { selection, pidNamespace, name } = parseOwner(text ?? '');
  if (selection !== own.selection && own.selection !== 'all') return false;
  // This process cannot see whether a process on another machine or in another pid namespace is running.
  if (pidNamespace !== own.pidNamespace || bootOf(name) !== bootOf(own.name)) return false;
  const [pid = ''] = name.split(' ');
  return (await processName(pid)) !== name;
}

const bootOf = (name: string): string => name.split(' ').at(-1) ?? '';

function ownerText({ selection, pidNamespace, name }: Owner): string {
  return `${selection} ${pidNamespace} ${name}`;
}

function parseOwner(text: string): Record<keyof Owner, string> {
  const [selection = '', pidNamespace = '', ...name] = text.split(' ');
  return { selection, pidNamespace, name: name.join(' ') };
}
