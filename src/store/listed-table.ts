import type { ContainerRecord } from './records';

/** A container of a pod, or its sandbox, that the Engine has listed and that nobody has inspected yet. */
export interface ListedRecord {
  readonly id: string;
  readonly kind: 'sandbox' | 'container';
  /** The pod it belongs to: its own id for a sandbox, '' when its label does not tell. */
  readonly sandboxId: string;
  /** Enough for an element of ListContainers and nothing else; undefined where the Engine's list does not tell enough. */
  readonly record: ContainerRecord | undefined;
}

/**
 * What the Engine's first list told, until each container was inspected. Until then the other tables do not know these
 * containers: whoever needs more than an element of a list waits for the inspect.
 */
export class ListedTable {
  private readonly byId = new Map<string, ListedRecord>();
  private readonly wanted = new Set<string>();
  private readonly ofPod = new Map<string, number>();
  private readonly untold = { sandbox: 0, container: 0 };
  private readonly listeners = new Set<() => void>();
  /** Containers to which something happened after the list was requested; undefined once all were inspected. */
  private changed: Set<string> | undefined = new Set();

  get size(): number {
    return this.byId.size;
  }

  has(id: string): boolean {
    return this.byId.has(id);
  }

  /** Containers that can be listed. */
  *records(): Generator<ContainerRecord> {
    for (const { record } of this.byId.values()) if (record !== undefined) yield record;
  }

  /** How many of a kind cannot be listed before they are inspected. */
  missing(kind: ListedRecord['kind']): number {
    return this.untold[kind];
  }

  /** Whether a pod's sandbox or one of its containers is here. */
  hasPod(sandboxId: string): boolean {
    return this.ofPod.has(sandboxId);
  }

  /** Must be called before a list is requested, because the list may not know what happens from now on. */
  expect(): void {
    this.changed = new Set();
  }

  /** Replaces everything by what a new list told. */
  replace(all: Iterable<ListedRecord>): void {
    for (const id of [...this.byId.keys()]) this.remove(id);
    for (const one of all) this.add(one);
    for (const id of this.changed ?? []) this.distrust(id);
    this.announce();
  }

  /** All containers were inspected: from now on the other tables know everything. */
  close(): void {
    this.replace([]);
    this.changed = undefined;
  }

  /** The container was inspected, or is gone. */
  delete(id: string): void {
    if (this.remove(id)) this.announce();
  }

  /** Something happened to the container after the list was made, so it is not listed before it is inspected. */
  distrust(id: string): void {
    this.changed?.add(id);
    const known = this.byId.get(id);
    if (known === undefined) return;
    this.remove(id);
    this.add({ ...known, record: undefined });
    this.wanted.add(id);
    this.announce();
  }

  /** Somebody waits for the container, so it is inspected before the others. */
  want(id: string): void {
    if (this.byId.has(id)) this.wanted.add(id);
  }

  /** The same for a sandbox and all of its containers. */
  wantPod(sandboxId: string): void {
    if (!this.hasPod(sandboxId)) return;
    for (const one of this.byId.values()) if (one.sandboxId === sandboxId) this.wanted.add(one.id);
  }

  /** Takes the first container that somebody waits for; undefined when nobody waits. The caller has to inspect it. */
  takeWanted(): string | undefined {
    const [id] = this.wanted;
    if (id !== undefined) this.wanted.delete(id);
    return id;
  }

  /** Calls back after each change; the returned function ends it. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private add(one: ListedRecord): void {
    this.byId.set(one.id, one);
    this.ofPod.set(one.sandboxId, (this.ofPod.get(one.sandboxId) ?? 0) + 1);
    if (one.record === undefined) this.untold[one.kind]++;
  }

  private remove(id: string): boolean {
    const one = this.byId.get(id);
    if (one === undefined) return false;
    this.byId.delete(id);
    this.wanted.delete(id);
    const left = (this.ofPod.get(one.sandboxId) ?? 1) - 1;
    if (left > 0) this.ofPod.set(one.sandboxId, left);
    else this.ofPod.delete(one.sandboxId);
    if (one.record === undefined) this.untold[one.kind]--;
    return true;
  }

  private announce(): void {
    for (const listener of this.listeners) listener();
  }
}
