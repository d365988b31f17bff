import * as fs from 'node:fs';
import { appendFile, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf, failedPrecondition, internal, messageOf } from '../lib/errors';
import { isDiskTrouble } from './disk/files';
import { processName, processNameSync } from './process/process-info';

const FILE = 'owner';
const STOPPING = ' stopping';

/**
 * Makes sure that no second daemon works in this directory. The claim of a killed owner needs no cleanup, because the file
 * contains the owner's processName. The function is synchronous because it is the first step of the start.
 * @param option name of the option for the directory.
 * @param mode of the directory, which is created when it is missing.
 * @returns '', or the reason why the claim could not be written. The daemon starts nevertheless, because a node with a full or
 * read-only disk still needs its runtime, which may free disk space.
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

/** Announces our stop. A daemon that starts before the stop is complete then waits for it. */
export async function announceStop(directory: string): Promise<void> {
  try {
    await appendFile(join(directory, FILE), STOPPING);
  } catch {
    // If the disk is full, the announcement is missing. The next daemon is then refused, and will be started again.
  }
}

/** Writes the file completely or not at all. */
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

/** Removes a file. Ignores errors, because the caller throws an earlier error of the same disk. */
function discard(draft: string): void {
  try {
    fs.rmSync(draft, { force: true });
  } catch {
    // The draft stays.
  }
}

function readText(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The interval in ms at which another process is polled. The kernel reports only the end of child processes. */
const LOOK_AGAIN_MS = 50;
/**
 * The time in ms that a daemon which was just told to stop gets to announce its stop. It may be too busy to do so immediately.
 */
const BENEFIT_OF_DOUBT_MS = 1_000;

/**
 * Waits until a daemon that is stopping releases these directories, because that daemon still completes its logs. Does not wait
 * for a daemon that is not stopping; claimDirectory then fails.
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

/** The name of a claim: its key and the processName of its owner, with dots for blanks. */
const CLAIM = /^([0-9a-f]+)\.(\d+)\.(\d+)\.([0-9a-f-]+)$/;

/** The prefix of the line that other daemons read; the other lines are for people. */
const NAMESPACE = 'namespace ';

/** A claim of another process. */
export interface OtherClaim {
  /** The processName of its owner. */
  readonly process: string;
  /** The owner's one-line description of itself; only its pid if it could not write the description. */
  readonly words: string;
}

/**
 * Claims on things that only one process of a machine may work on. To claim a thing, a process writes a file under its own
 * name, and then looks for files of other processes. If two processes do this at the same time, both may be refused and try
 * again, but they never both succeed. A single file that is removed when its owner is dead would not guarantee this. The claims of a
 * killed process need no cleanup.
 */
export class ProcessClaims {
  constructor(
    /**
     * The directory of the claims. All processes that must exclude each other use the same directory. It is created when it is
     * missing.
     */
    private readonly directory: string,
    /** Lines that describe this process to others. */
    private readonly about: readonly string[],
  ) {}

  /**
   * Claims `key` for this process. This process may hold the key already.
   * @param key hexadecimal.
   * @returns the other process that holds the key; undefined when this process holds it now.
   * @throws the system's error when the claim cannot be written and nobody else is known to hold the key.
   */
  async take(key: string): Promise<OtherClaim | undefined> {
    const present = await this.otherWith(key);
    if (present !== undefined) return present;
    const path = await this.pathOf(key);
    await mkdir(this.directory, { recursive: true, mode: 0o750 });
    await this.putUp(path);
    const rival = await this.otherWith(key);
    if (rival !== undefined) await rm(path, { force: true });
    return rival;
  }

  /** Finds another living process that holds `key`, and removes the claims of dead ones. */
  async otherWith(key: string): Promise<OtherClaim | undefined> {
    for (const file of await this.files()) {
      const [, of, pid = '', start, boot] = CLAIM.exec(file) ?? [];
      if (of !== key || Number(pid) === process.pid) continue;
      const name = `${pid} ${start} ${boot}`;
      if ((await processName(pid)) === name) return { process: name, words: await this.wordsOf(file, pid) };
      // No other process ever has this name, so this cannot remove a living process's claim.
      await rm(join(this.directory, file), { force: true }).catch(() => undefined);
    }
    return undefined;
  }

  /**
   * Removes the claims of killed processes on any key. Claims from another PID namespace stay, because this process cannot see
   * whether their owners are alive. Never rejects, because a stale claim does no harm.
   */
  async sweep(): Promise<void> {
    const ours = await pidNamespace();
    if (ours === '') return;
    for (const file of await this.files().catch(() => [])) {
      const [, , pid = '', start, boot] = CLAIM.exec(file) ?? [];
      if (pid === '' || (await processName(pid)) === `${pid} ${start} ${boot}`) continue;
      const path = join(this.directory, file);
      const text = await readFile(path, 'utf8').catch(() => '');
      if (text.split('\n').includes(ours)) await rm(path, { force: true }).catch(() => undefined);
    }
  }

  /** Releases the key. Does nothing when this process does not hold it. */
  async release(key: string): Promise<void> {
    await rm(await this.pathOf(key), { force: true });
  }

  private async putUp(path: string): Promise<void> {
    const text = [`process ${process.pid}`, ...this.about, await pidNamespace(), ''].join('\n');
    try {
      await writeFile(path, text, { mode: 0o640, flag: 'wx' });
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }

  private async files(): Promise<string[]> {
    try {
      return await readdir(this.directory);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  private async pathOf(key: string): Promise<string> {
    const name = await processName(process.pid);
    if (name === undefined) throw internal('/proc does not identify this process');
    return join(this.directory, [key, ...name.split(' ')].join('.'));
  }

  private async wordsOf(file: string, pid: string): Promise<string> {
    const text = await readFile(join(this.directory, file), 'utf8').catch(() => '');
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith(NAMESPACE));
    return lines.join(', ') || `process ${pid}`;
  }
}

/** @returns '' when the namespace cannot be read. */
async function pidNamespace(): Promise<string> {
  const link = await readlink('/proc/self/ns/pid').catch(() => '');
  return link && `${NAMESPACE}${link}`;
}
