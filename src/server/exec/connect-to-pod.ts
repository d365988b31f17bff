import { open, type FileHandle } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { isInContainer } from '../../lib/cgroup/members';
import { failedPrecondition, unavailable, unsupported } from '../../lib/errors';
import { NamespaceMode } from '../../proto/enums';
import type { SandboxRecord } from '../../store/records';
import { dialLoopback } from '../../streaming/port-forward/dial';
import type { NetnsDialers } from '../../streaming/port-forward/netns-dialer';
import { isReady } from '../../translate/sandbox-status';
import type { Services } from '../services';

/** A connection to a port of the pod's loopback interface. */
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
    throw unsupported('port_forward', 'the pods of a remote Engine are out of reach');
  if (sandbox.namespaces.network === NamespaceMode.NODE) return dialLoopback(port);
  return dialers.connect(sandbox.id, port, () => openNetns(sandbox));
}

/** The check comes after: what the handle names cannot change any more, only whose pid it was. */
async function openNetns({ id, pid }: SandboxRecord): Promise<FileHandle> {
  const handle = await open(`/proc/${pid}/ns/net`);
  if (await isInContainer(pid, id)) return handle;
  await handle.close();
  throw unavailable(`the pause process of sandbox ${id} has ended`);
}
