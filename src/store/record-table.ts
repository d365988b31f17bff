import { BoundedSet } from '../lib/collections';
import { invalidArgument } from '../lib/errors';
import type { ContainerRecord } from './records';

/** How many removed ids the table remembers. They keep a late list or inspect from bringing a removed record back. */
const REMEMBERED_REMOVALS = 10_000;

export interface TableRecord {
  readonly id: string;
  readonly engineName: string;
}

export type ChangeListener<R> = (now: R | undefined, before: R | undefined) => void;

/**
 * The read-only side of a table: records by id, unique id prefix and Engine name. Lookups by full id or name are O(1).
 */
export interface Records<R extends TableRecord> {
  readonly size: number;
  values(): IterableIterator<R>;
  get(id: string): R | undefined;
  byName(engineName: string): R | undefined;
  /**
   * Finds a record by its full id or a unique prefix, because crictl users type prefixes.
   * @param field the request field that an error about an ambiguous prefix names.
   */
  resolve(idOrPrefix: string, field: string): R | undefined;
  /**
   * A number that grows with every change. Read it before a list call, and pass it to `isNewerThan` when the list has
   * arrived.
   */
  readonly now: number;
  isNewerThan(id: string, revision: number): boolean;
  /** Whether the id was removed. The Engine does not reuse an id within one connection. */
  wasRemoved(id: string): boolean;
  /** Calls the listener after each change. The returned function unsubscribes it. */
  subscribe(listener: ChangeListener<R>): () => void;
}

/** The table itself. `Store` explains which code may change it. */
export class RecordTable<R extends TableRecord> implements Records<R> {
  private readonly byId = new Map<string, R>();
  private readonly idByName = new Map<string, string>();
  private readonly touched = new Map<string, number>();
  private removed = new BoundedSet<string>(REMEMBERED_REMOVALS);
  private readonly listeners = new Set<ChangeListener<R>>();
  private revision = 0;

  get size(): number {
    return this.byId.size;
  }

  values(): IterableIterator<R> {
    return this.byId.values();
  }

  get(id: string): R | undefined {
    return this.byId.get(id);
  }

  byName(engineName: string): R | undefined {
    const id = this.idByName.get(engineName);
    return id === undefined ? undefined : this.byId.get(id);
  }

  resolve(idOrPrefix: string, field: string): R | undefined {
    const exact = this.byId.get(idOrPrefix);
    if (exact !== undefined || idOrPrefix === '') return exact;
    let found: R | undefined;
    for (const [id, record] of this.byId) {
      if (!id.startsWith(idOrPrefix)) continue;
      if (found !== undefined)
        throw invalidArgument(field, `id prefix "${idOrPrefix}" is ambiguous; give more characters`);
      found = record;
    }
    return found;
  }

  get now(): number {
    return this.revision;
  }

  isNewerThan(id: string, revision: number): boolean {
    return (this.touched.get(id) ?? 0) > revision;
  }

  wasRemoved(id: string): boolean {
    return this.removed.has(id);
  }

  /**
   * Forgets which ids were removed. Called when a new connection to the Engine begins. An Engine that had lost its data may
   * have it again, and then its first list must count.
   */
  forgetRemovals(): void {
    this.removed = new BoundedSet(REMEMBERED_REMOVALS);
  }

  /** Inserts or replaces a record. Ignores a record whose id was removed. */
  put(record: R): void {
    if (this.removed.has(record.id)) return;
    const before = this.byId.get(record.id);
    if (before !== undefined && before.engineName !== record.engineName) this.releaseName(before);
    this.byId.set(record.id, record);
    this.idByName.set(record.engineName, record.id);
    this.touched.set(record.id, ++this.revision);
    this.announce(record, before);
  }

  delete(id: string): void {
    this.removed.add(id);
    const before = this.byId.get(id);
    if (before === undefined) return;
    this.byId.delete(id);
    this.touched.delete(id);
    this.releaseName(before);
    this.revision++;
    this.announce(undefined, before);
  }

  subscribe(listener: ChangeListener<R>): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Releases the name, unless another record has taken it in the meantime. */
  private releaseName(holder: R): void {
    if (this.idByName.get(holder.engineName) === holder.id) this.idByName.delete(holder.engineName);
  }

  protected announce(now: R | undefined, before: R | undefined): void {
    for (const listener of this.listeners) listener(now, before);
  }
}

/** The records of containers, which can also be found by their sandbox. */
export interface ContainerRecords extends Records<ContainerRecord> {
  ofSandbox(sandboxId: string): ContainerRecord[];
  /** Resolves with the record once `accept` returns true for it, or with undefined once the container is gone. */
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
