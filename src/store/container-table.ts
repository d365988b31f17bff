import { RecordTable, type Records } from './record-table';
import type { ContainerRecord } from './records';

/** Containers, and which of them belong to a sandbox. */
export interface ContainerRecords extends Records<ContainerRecord> {
  ofSandbox(sandboxId: string): ContainerRecord[];
  /** Resolves with the record once `accept` holds, with undefined once the container is gone. */
  waitFor(
    id: string,
    accept: (record: ContainerRecord) => boolean,
    signal: AbortSignal,
  ): Promise<ContainerRecord | undefined>;
}

export class ContainerTable extends RecordTable<ContainerRecord> implements ContainerRecords {
  private readonly idsBySandbox = new Map<string, Set<string>>();

  ofSandbox(sandboxId: string): ContainerRecord[] {
    const ids = this.idsBySandbox.get(sandboxId);
    return ids === undefined ? [] : [...ids].flatMap((id) => this.get(id) ?? []);
  }

  async waitFor(
    id: string,
    accept: (record: ContainerRecord) => boolean,
    signal: AbortSignal,
  ): Promise<ContainerRecord | undefined> {
    signal.throwIfAborted();
    const current = this.get(id);
    if (current === undefined || accept(current)) return current;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        unsubscribe();
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        end();
        reject(signal.reason as Error);
      };
      const unsubscribe = this.subscribe((now, before) => {
        if ((now ?? before)?.id !== id || (now !== undefined && !accept(now))) return;
        end();
        resolve(now);
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  protected override announce(now: ContainerRecord | undefined, before: ContainerRecord | undefined): void {
    if (now === undefined && before !== undefined) {
      const ids = this.idsBySandbox.get(before.sandboxId);
      ids?.delete(before.id);
      if (ids?.size === 0) this.idsBySandbox.delete(before.sandboxId);
    } else if (now !== undefined && before === undefined) {
      const ids = this.idsBySandbox.get(now.sandboxId) ?? new Set();
      this.idsBySandbox.set(now.sandboxId, ids.add(now.id));
    }
    super.announce(now, before);
  }
}
