import { readFile } from 'node:fs/promises';
import { failedPrecondition } from '../../lib/errors';

/**
 * The Engine would notice only at start: a pod that names a profile which is not loaded must not be created (kubelet
 * then shows the reason and tries again, by when a loader may have done its work).
 * @param name undefined or `unconfined`: nothing to look for.
 * @param loaded the kernel's list; where it cannot be read the Engine is left to judge.
 */
export async function requireLoadedProfile(
  name: string | undefined,
  field: string,
  loaded = '/sys/kernel/security/apparmor/profiles',
): Promise<void> {
  if (name === undefined || name === 'unconfined') return;
  const list = await readFile(loaded, 'utf8').catch(() => undefined);
  if (list === undefined) return;
  const names = list.split('\n').map((line) => line.replace(/ \(\w+\)$/, ''));
  if (!names.includes(name))
    throw failedPrecondition(`${field}: AppArmor profile "${name}" is not loaded on this node`);
}
