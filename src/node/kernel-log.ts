import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { BoundedSet } from '../lib/collections';
import { errnoOf } from '../lib/errors';
import { KeyedLock } from '../lib/async/keyed-lock';

/** Longer than any record of the kernel (dev-kmsg in the kernel's ABI documentation). */
const RECORD_BYTES = 8192;
/** One look reads at most this many records: more than the kernel's buffer holds by default. */
const MAX_RECORDS = 20_000;
const REMEMBERED = 1_000;

/**
 * Tells whom the kernel killed for want of memory, from its own log. The Engine learns of it from containerd, whose watch on a
 * container's group begins after the start: what a container does in its first tenths of a second is missed. The kernel
 * writes ten such lines in 5 s at most.
 */
export class KernelLog {
  private readonly killed = new BoundedSet<string>(REMEMBERED);
  private readonly lock = new KeyedLock();
  private file: FileHandle | undefined;
  private unreadable = false;

  constructor(private readonly path = '/dev/kmsg') {}

  /** @param id the full id of a container of this machine. Without the right to read the log nobody was killed. */
  async killedForMemory(id: string): Promise<boolean> {
    if (!this.unreadable) await this.lock.run('read', () => this.readOn());
    return this.killed.has(id);
  }

  async close(): Promise<void> {
    this.unreadable = true;
    await this.lock.run('read', async () => this.file?.close());
  }

  /** All that was written since the last look; at first, all that the kernel still has. */
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
      // Not there, or not for us: that stays so. Others (EMFILE) pass.
      this.unreadable ||= ['ENOENT', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '');
    }
  }

  /** @returns 0 when there is none yet. */
  private async readRecord(file: FileHandle, buffer: Buffer): Promise<number> {
    try {
      return (await file.read(buffer, 0, buffer.length, null)).bytesRead;
    } catch (error) {
      if (errnoOf(error) === 'EAGAIN') return 0;
      // The kernel has written over what was next: it goes on with the oldest there is.
      if (errnoOf(error) === 'EPIPE') return this.readRecord(file, buffer);
      throw error;
    }
  }
}

/** `oom-kill:constraint=…,task_memcg=/docker/<id>,task=dd,pid=…`: the id of the group that lost a process. */
function killedBy(record: string): string | undefined {
  const group = /oom-kill:.*task_memcg=([^,]*)/.exec(record)?.[1];
  return group === undefined ? undefined : /[0-9a-f]{64}/.exec(group)?.[0];
}
