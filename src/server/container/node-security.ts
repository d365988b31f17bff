import { readdir, readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { failedPrecondition, hasCode, invalidArgument, messageOf } from '../../lib/errors';
import type { DiskLooks } from '../../node/disk/disk-looks';
import { readRegular } from '../../node/disk/files';
import {
  seccompOption,
  seccompProfileFault,
  type SeccompChoice,
} from '../../translate/shared/security-options';

/**
 * Refuses a container whose AppArmor profile is not loaded, because the Engine would notice this only at the start. kubelet
 * shows the reason and tries again. By then, a loader may have loaded the profile.
 * @param name the profile. If it is undefined or `unconfined`, nothing is checked.
 * @param loaded the kernel's list. If it cannot be read, the check is left to the Engine.
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
 * Returns the SecurityOpt of the chosen profile. A localhost profile is read, checked and passed as a whole, because the
 * Engine accepts the profile's text but no path.
 * @throws INVALID_ARGUMENT when the file is absent, too large or not a profile; DEADLINE_EXCEEDED when its disk hangs.
 */
export async function loadSeccompOptions(choice: SeccompChoice, hostDisks: DiskLooks): Promise<string[]> {
  if (choice.kind !== 'load') return seccompOption(choice, undefined);
  const text = await readProfile(choice.path, choice.field, hostDisks);
  const fault = faultOf(text);
  if (fault !== undefined) throw invalidArgument(`${choice.field}.localhost_ref`, `${choice.path} ${fault}`);
  // The text is passed unchanged, because parsing and serializing would round 64-bit argument values.
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

/** Entries of /dev that the runtime creates in each container, or that belong to other file systems. */
const NOT_OF_NODE = new Set([
  'console',
  'fd',
  'full',
  'mqueue',
  'null',
  'ptmx',
  'pts',
  'random',
  'shm',
  'tty',
  'urandom',
  'zero',
  '.lxc',
  '.lxd-mounts',
  '.udev',
]);
/** A node has a few hundred devices. The limit keeps a broken /dev from making the create call megabytes long. */
const MAX_DEVICES = 4096;

/** Lists the device nodes below `root`, all of which a privileged container gets. Symbolic links are not followed. */
export async function listHostDevices(root = '/dev'): Promise<string[]> {
  const found: string[] = [];
  const directories = [root];
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    // A directory that disappears during the walk counts as empty.
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (NOT_OF_NODE.has(entry.name) && directory === root) continue;
      const path = posix.join(directory, entry.name);
      if (entry.isDirectory()) directories.push(path);
      else if (entry.isCharacterDevice() || entry.isBlockDevice()) found.push(path);
      if (found.length >= MAX_DEVICES) return found;
    }
  }
  return found;
}
