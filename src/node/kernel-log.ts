import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { KeyedLock } from '../lib/async/keyed-lock';
import { BoundedSet } from '../lib/collections';
import { errnoOf } from '../lib/errors';

/** The maximum length of a kernel record in bytes (dev-kmsg in the kernel's ABI documentation). */
const RECORD_BYTES = 8192;
/** The maximum number of records that one look reads. The kernel's buffer holds fewer by default. */
const MAX_RECORDS = 20_000;
const REMEMBERED = 1_000;

/**
 * Reads from the kernel's log in which containers the OOM killer has killed processes. The Engine itself learns of OOM kills
 * from containerd. But containerd begins to watch a container's group only some time after the start, so it misses kills in the
 * first tenths of a second. The kernel writes at most ten lines about OOM kills in 5 s, so further kills in this time are
 * missed here.
 */
export class KernelLog {
  private readonly killed = new BoundedSet<string>(REMEMBERED);
  private readonly lock = new KeyedLock();
  private file: FileHandle | undefined;
  private unreadable = false;

  constructor(private readonly path = '/dev/kmsg') {}

  /**
   * @param id full id of a container of this machine.
   * @returns whether the kernel has killed a process of the container for lack of memory; false when the log cannot be read.
   */
  async killedForMemory(id: string): Promise<boolean> {
    if (!this.unreadable) await this.lock.run('read', () => this.readOn());
    return this.killed.has(id);
  }

  async close(): Promise<void> {
    this.unreadable = true;
    await this.lock.run('read', async () => this.file?.close());
  }

  /** Reads everything that was written since the last look. The first look reads everything that the kernel still has. */
  private async readOn(): Promise<void> {
    const buffer = Buffer.alloc(RECORD_BYTES);
    try {
      this.file ??= await open(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
      for (let records = 0; records < MAX_RECORDS; records++) {
        const length = await this.readRecord(this.file, buffer);
        if (length === 0) return;
        const id = killedBy(buffer.toString('utf8', 0, length));
        if (id !== undefined) this.killed.add(id);
      }
    } catch (error) {
      // If the log is missing, or we may not read it, there is no point in trying again. Other errors (EMFILE) are temporary.
      this.unreadable ||= ['ENOENT', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '');
    }
  }

  /** @returns the length of the record; 0 when there is no new record. */
  private async readRecord(file: FileHandle, buffer: Buffer): Promise<number> {
    try {
      return (await file.read(buffer, 0, buffer.length, null)).bytesRead;
    } catch (error) {
      if (errnoOf(error) === 'EAGAIN') return 0;
      // The kernel has overwritten the next record. The next read returns the oldest record that remains.
      if (errnoOf(error) === 'EPIPE') return this.readRecord(file, buffer);
      throw error;
    }
  }
}

/** Finds the container that lost a process, in a record such as `oom-kill:constraint=…,task_memcg=/docker/<id>,task=dd,pid=…`. */
function killedBy(record: string): string | undefined {
  const group = /oom-kill:.*task_memcg=([^,]*)/.exec(record)?.[1];
  return group === undefined ? undefined : /[0-9a-f]{64}/.exec(group)?.[0];
}
