import * as fs from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf, failedPrecondition, messageOf } from '../../lib/errors';
import { processNameSync } from '../process/process-info';
import { isDiskTrouble } from './files';

const FILE = 'owner';
const STOPPING = ' stopping';

/**
 * Makes sure that no second daemon works in this directory. A killed owner needs no cleanup, because the file contains the
 * owner's processName. It is synchronous, because it is the first step of the start.
 * @param option name of the option for the directory.
 * @param mode of the directory, which is created when it is missing.
 * @returns '', or why the claim could not be written. A full or read-only disk is no reason to leave the node without its
 * runtime, which may be what frees the disk.
 * @throws FAILED_PRECONDITION
 */
export function claimDirectory(directory: string, option: string, mode: number): string {
  const path = join(directory, FILE);
  try {
    makeDirectory(directory, mode);
    refuseIfOwned(path, directory, option);
    write(path, processNameSync(process.pid) ?? '');
    return '';
  } catch (error) {
    if (isDiskTrouble(error)) return messageOf(error);
    if (error instanceof Error && !('syscall' in error)) throw error;
    throw failedPrecondition(`${directory} (--${option}) cannot be used: ${messageOf(error)}`);
  }
}

/** Like mkdir with `recursive`, which would fail with ENOENT on a read-only disk. */
function makeDirectory(directory: string, mode: number): void {
  try {
    fs.mkdirSync(directory, { mode });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST') return;
    if (errno !== 'ENOENT' || dirname(directory) === directory) throw error;
    makeDirectory(dirname(directory), mode);
    fs.mkdirSync(directory, { mode });
  }
}

function refuseIfOwned(path: string, directory: string, option: string): void {
  if (claimOf(directory) !== 'none') {
    const [pid] = readText(path).split(' ');
    throw failedPrecondition(
      `another dockbridge, process ${pid}, uses ${directory}: stop it first, or give --${option}`,
    );
  }
}

/** Whether another living daemon holds the directory, and whether it has announced its stop. */
export function claimOf(directory: string): 'none' | 'claimed' | 'stopping' {
  const text = readText(join(directory, FILE));
  const owner = text.replace(STOPPING, '');
  const [pid = ''] = owner.split(' ');
  if (Number(pid) === process.pid || !/^\d+$/.test(pid) || processNameSync(pid) !== owner) return 'none';
  return owner === text ? 'claimed' : 'stopping';
}

/** Announces our stop, so that a daemon that starts meanwhile waits for it. */
export async function announceStop(directory: string): Promise<void> {
  try {
    await appendFile(join(directory, FILE), STOPPING);
  } catch {
    // On a full disk the next daemon is refused, and will be started again.
  }
}

/** Writes the whole file or nothing. */
function write(path: string, text: string): void {
  const draft = `${path}.tmp`;
  try {
    fs.writeFileSync(draft, text, { mode: 0o600 });
    fs.renameSync(draft, path);
  } catch (error) {
    discard(draft);
    throw error;
  }
}

/** Ignores errors, because the trouble with the disk is reported already. */
function discard(draft: string): void {
  try {
    fs.rmSync(draft, { force: true });
  } catch {
    // There is no draft.
  }
}

function readText(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The kernel reports only the ends of child processes, so others must be polled. */
const LOOK_AGAIN_MS = 50;
/** A daemon that was just told to stop may be too busy to announce it at once. */
const BENEFIT_OF_DOUBT_MS = 1_000;

/**
 * Waits until a daemon that is stopping releases these directories, because it still writes its logs to the end. It does not
 * wait for a daemon that is not stopping; claimDirectory then refuses.
 * @param ms how long a stop may take.
 */
export async function untilReleased(directories: readonly string[], ms: number): Promise<void> {
  const started = performance.now();
  for (;;) {
    const claims = directories.map(claimOf).filter((claim) => claim !== 'none');
    const patience = claims.includes('stopping') ? ms : BENEFIT_OF_DOUBT_MS;
    if (claims.length === 0 || performance.now() - started > patience) return;
    await delay(LOOK_AGAIN_MS);
  }
}
