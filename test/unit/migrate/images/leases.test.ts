import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ContainerdConnection } from '../../../../src/migrate/images/containerd/connection';
import {
  createLease,
  deleteLeases,
  thisOwner,
  type Owner,
} from '../../../../src/migrate/images/containerd/leases';
import type { Selection } from '../../../../src/migrate/images/selection';
import { processName } from '../../../../src/node/process/process-info';

const NAMESPACE = 'k8s.io';
const NOW = new Date('2026-01-02T00:00:00Z');
const HOUR_MS = 3600_000;

/** The leases of a containerd. */
class Leases {
  readonly all = new Map<string, Record<string, string>>();
  readonly connection = { call: this.call.bind(this) } as unknown as ContainerdConnection;

  /** @returns the id of the new lease. */
  make(owner: Owner, created = NOW): Promise<string> {
    return createLease(this.connection, NAMESPACE, created, owner);
  }

  private call(name: string, request: { id: string; labels: Record<string, string> }): Promise<unknown> {
    if (name === 'createLease') this.all.set(request.id, request.labels);
    if (name === 'deleteLease') this.all.delete(request.id);
    return Promise.resolve({ leases: [...this.all].map(([id, labels]) => ({ id, labels })) });
  }
}

describe('deleteLeases', () => {
  let running: Owner;
  /** The process of the lease in question. */
  let other: Omit<Owner, 'selection'>;
  beforeAll(async () => {
    running = await thisOwner('used');
    const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
    await once(child, 'spawn');
    const name = await processName(child.pid!);
    child.stdin.end();
    await once(child, 'exit');
    other = { pidNamespace: running.pidNamespace, name: name! };
  });

  /** @returns whether a successful command with `selection` leaves the lease of `theirs`. */
  async function isKept(theirs: Owner, selection: Selection, created = NOW): Promise<boolean> {
    const leases = new Leases();
    const [theirLease, own] = [await leases.make(theirs, created), { ...running, selection }];
    const lease = await leases.make(own);
    await deleteLeases(leases.connection, { namespace: NAMESPACE, lease }, own, NOW);
    expect(leases.all.has(lease)).toBe(false);
    return leases.all.has(theirLease);
  }

  it.each([
    ['used', 'used', false],
    ['used', 'all', false],
    ['only-local', 'all', false],
    ['all', 'used', true],
    ['only-local', 'used', true],
  ] as const)(
    'after an interrupted --%s, a successful --%s keeps the lease of the interrupted command: %s',
    async (theirs, own, kept) => {
      expect(await isKept({ ...other, selection: theirs }, own)).toBe(kept);
    },
  );

  it('keeps the lease of a command that runs', async () => {
    expect(await isKept(running, 'all')).toBe(true);
  });

  it('keeps the lease of a command in another pid namespace, whose process nobody can see', async () => {
    const elsewhere = { ...other, selection: 'used', pidNamespace: 'pid:[1]' } as const;
    expect(await isKept(elsewhere, 'used')).toBe(true);
  });

  it('keeps the lease of a command of another boot, because it may run in a virtual machine', async () => {
    const name = [...other.name.split(' ').slice(0, 2), 'another-boot'].join(' ');
    expect(await isKept({ ...other, selection: 'used', name }, 'used')).toBe(true);
  });

  it('deletes a lease that has expired', async () => {
    const created = new Date(NOW.getTime() - 25 * HOUR_MS);
    expect(await isKept({ ...other, selection: 'all' }, 'used', created)).toBe(false);
  });
});
