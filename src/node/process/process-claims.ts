import { mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, internal } from '../../lib/errors';
import { processName } from './process-info';

/** The name of a claim: its key and the processName of its owner, with dots for blanks. */
const CLAIM = /^([0-9a-f]+)\.(\d+)\.(\d+)\.([0-9a-f-]+)$/;

/** The beginning of the line that is for other daemons, not for people. */
const NAMESPACE = 'namespace ';

/** A claim of another process. */
export interface OtherClaim {
  /** The processName of its owner. */
  readonly process: string;
  /** The owner's description of itself in one line; only its pid when it could write no more. */
  readonly words: string;
}

/**
 * Claims on things that only one process of a machine may work on. A process that wants such a thing writes a file that has
 * the process's own name, and then looks for files of others. Of two processes that come at once, both may be refused and try
 * again, but never are both admitted, as could happen with a single file that is removed when its owner is dead. The claims
 * of a killed process need no cleanup.
 */
export class ProcessClaims {
  constructor(
    /** The same for all processes that are to be kept apart; created when it is missing. */
    private readonly directory: string,
    /** Lines that describe this process to others. */
    private readonly about: readonly string[],
  ) {}

  /**
   * Claims `key` for this process, which may hold it already.
   * @param key hexadecimal.
   * @returns who else holds it; undefined when it is ours now.
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
   * Removes the claims of killed processes on any key. Claims from another PID namespace stay, because whether their owners
   * live cannot be seen from here. Never rejects, because a claim that stays does no harm.
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

  /** Does nothing when this process does not hold the key. */
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
    if (name === undefined) throw internal('/proc does not tell what this process is');
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
