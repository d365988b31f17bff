import { readdir, readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { failedPrecondition, hasCode, invalidArgument, messageOf } from '../../lib/errors';
import type { DiskLooks } from '../../node/disk/disk-looks';
import { readRegular } from '../../node/disk/small-file';
import {
  seccompOption,
  seccompProfileFault,
  type SeccompChoice,
} from '../../translate/shared/security-options';

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

const MAX_PROFILE_BYTES = 1024 * 1024;

/**
 * SecurityOpt for the chosen profile; a localhost profile is read, checked and passed whole, for the Engine
 * takes the text, not the path.
 * @throws INVALID_ARGUMENT when the file is absent, too large or no profile; DEADLINE_EXCEEDED when its disk hangs.
 */
export async function loadSeccompOptions(choice: SeccompChoice, hostDisks: DiskLooks): Promise<string[]> {
  if (choice.kind !== 'load') return seccompOption(choice, undefined);
  const text = await readProfile(choice.path, choice.field, hostDisks);
  const fault = faultOf(text);
  if (fault !== undefined) throw invalidArgument(`${choice.field}.localhost_ref`, `${choice.path} ${fault}`);
  // As it is: parsed and written anew, 64-bit argument values would lose their last digits.
  return seccompOption(choice, text);
}

function faultOf(text: string): string | undefined {
  try {
    return seccompProfileFault(JSON.parse(text));
  } catch (error) {
    return `is not JSON: ${messageOf(error)}`;
  }
}

async function readProfile(path: string, field: string, hostDisks: DiskLooks): Promise<string> {
  try {
    return await hostDisks.run(`Reading ${path}`, path, () => readRegular(path, MAX_PROFILE_BYTES));
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED')) throw error;
    throw invalidArgument(
      `${field}.localhost_ref`,
      `seccomp profile ${path} cannot be read: ${messageOf(error)}`,
    );
  }
}

/** Made anew in each container by the runtime, or another file system's own. */
const OF_CONTAINER = new Set([
  ...['console', 'fd', 'full', 'mqueue', 'null', 'ptmx', 'pts', 'random', 'shm', 'tty', 'urandom', 'zero'],
  ...['.lxc', '.lxd-mounts', '.udev'],
]);
/** A node has some hundreds; a broken /dev must not make a create call of megabytes. */
const MAX_DEVICES = 4096;

/** Device nodes below `root`, links not followed: what a privileged container gets. */
export async function listHostDevices(root = '/dev'): Promise<string[]> {
  const found: string[] = [];
  const directories = [root];
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    // A device or directory that goes away meanwhile is none.
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (OF_CONTAINER.has(entry.name) && directory === root) continue;
      const path = posix.join(directory, entry.name);
      if (entry.isDirectory()) directories.push(path);
      else if (entry.isCharacterDevice() || entry.isBlockDevice()) found.push(path);
      if (found.length >= MAX_DEVICES) return found;
    }
  }
  return found;
}
