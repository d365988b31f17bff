import { mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, internal } from '../../lib/errors';
import { processName } from './process-info';

/** `KEY PID START BOOT`, dots for blanks: what no other process is ever called (process-name.ts). */
const CLAIM = /^([0-9a-f]+)\.(\d+)\.(\d+)\.([0-9a-f-]+)$/;

/** How the line begins that is for other daemons, not for people. */
const NAMESPACE = 'namespace ';

/** Another process that has what was asked for. */
export interface OtherClaim {
  /** Its name, which tells it from all others. */
  readonly process: string;
  /** What it says of itself in one line; its pid when it could write no more. */
  readonly words: string;
}

/**
 * What only one process of a machine may work on. Each process that wants a thing puts up a file that has its own name, and
 * then looks whether others have one: of two that come at once both may be refused and try again, and never are both let
 * in, as they could be with one file that is removed when its owner is dead. A killed process needs no clearing away.
 */
export class ProcessClaims {
  constructor(
    /** Made when missing; the same for all processes that are to be kept apart. */
    private readonly directory: string,
    /** What others are told of this process, a line each. */
    private readonly about: readonly string[],
  ) {}

  /**
   * Claims `key` for this process, which may have it already.
   * @param key hexadecimal.
   * @returns who else has it; undefined when it is ours now.
   * @throws the system's error when it cannot be written down, where nobody else is known to have it.
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

  /** Whoever else has `key` and lives; what dead ones left is removed. */
  async otherWith(key: string): Promise<OtherClaim | undefined> {
    for (const file of await this.files()) {
      const [, of, pid = '', start, boot] = CLAIM.exec(file) ?? [];
      if (of !== key || Number(pid) === process.pid) continue;
      const name = `${pid} ${start} ${boot}`;
      if ((await processName(pid)) === name) return { process: name, words: await this.wordsOf(file, pid) };
      // Nobody else is ever called so: this cannot take away a living one's.
      await rm(join(this.directory, file), { force: true }).catch(() => undefined);
    }
    return undefined;
  }

  /**
   * Removes what killed processes left of any key. Those of another PID namespace stay: whether they live cannot be seen
   * from here. Never rejects: what stays is in nobody's way.
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

  /** Nothing happens when it is not ours. */
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

/** '' where it cannot be told. */
async function pidNamespace(): Promise<string> {
  const link = await readlink('/proc/self/ns/pid').catch(() => '');
  return link && `${NAMESPACE}${link}`;
}
