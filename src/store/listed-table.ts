import type { ContainerRecord } from './records';

/** A pod's container or sandbox that the Engine has listed and dockbridge has not inspected yet. */
export interface ListedRecord {
  readonly id: string;
  readonly kind: 'sandbox' | 'container';
  /** The sandbox's id: for a sandbox its own id, '' when the container's label does not name the sandbox. */
  readonly sandboxId: string;
  /**
   * A record that suffices only for an element of ListContainers. It is undefined where the Engine's list lacks a needed
   * value.
   */
  readonly record: ContainerRecord | undefined;
}

/**
 * What the Engine's first list reported, kept until each container has been inspected. Until its inspect, the other
 * tables lack the container, so a caller that needs more than a list element waits for the inspect.
 */
export class ListedTable {
  private readonly byId = new Map<string, ListedRecord>();
  private readonly wanted = new Set<string>();
  private readonly ofPod = new Map<string, number>();
  private readonly untold = { sandbox: 0, container: 0 };
  private readonly listeners = new Set<() => void>();
  /** Containers that changed after the list was requested. Undefined after all containers have been inspected. */
  private changed: Set<string> | undefined = new Set();

  get size(): number {
    return this.byId.size;
  }

  has(id: string): boolean {
    return this.byId.has(id);
  }

  /** Yields the containers whose record suffices for a list. */
  *records(): Generator<ContainerRecord> {
    for (const { record } of this.byId.values()) if (record !== undefined) yield record;
  }

  /** Returns how many entries of a kind must be inspected before a list is complete. */
  missing(kind: ListedRecord['kind']): number {
    return this.untold[kind];
  }

  /** Whether this table still contains the pod's sandbox or one of its containers. */
  hasPod(sandboxId: string): boolean {
    return this.ofPod.has(sandboxId);
  }

  /**
   * Begins to note which containers change. Must be called before a list is requested, because the list may lack changes that
   * happen from this moment on.
   */
  expect(): void {
    this.changed = new Set();
  }

  /** Replaces all entries by those of a new list. */
  replace(all: Iterable<ListedRecord>): void {
    for (const id of [...this.byId.keys()]) this.remove(id);
    for (const one of all) this.add(one);
    for (const id of this.changed ?? []) this.distrust(id);
    this.announce();
  }

  /** Empties the table. Called when all containers have been inspected, so that the other tables are complete. */
  close(): void {
    this.replace([]);
    this.changed = undefined;
  }

  /** Removes a container that was inspected or is gone. */
  delete(id: string): void {
    if (this.remove(id)) this.announce();
  }

  /** Marks a container that changed after the list was requested, so that no list contains it before its inspect. */
  distrust(id: string): void {
    this.changed?.add(id);
    const known = this.byId.get(id);
    if (known === undefined) return;
    this.remove(id);
    this.add({ ...known, record: undefined });
    this.wanted.add(id);
    this.announce();
  }

  /** Asks for an early inspect of a container, because a caller waits for it. */
  want(id: string): void {
    if (this.byId.has(id)) this.wanted.add(id);
  }

  /** Asks for early inspects of a sandbox and all its containers. */
  wantPod(sandboxId: string): void {
    if (!this.hasPod(sandboxId)) return;
    for (const one of this.byId.values()) if (one.sandboxId === sandboxId) this.wanted.add(one.id);
  }

  /**
   * Removes and returns the id of the next container that a caller waits for, or undefined when no caller waits. The
   * caller of this function has to inspect the container.
   */
  takeWanted(): string | undefined {
    const [id] = this.wanted;
    if (id !== undefined) this.wanted.delete(id);
    return id;
  }

  /** Calls the listener after each change. The returned function unsubscribes it. */
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
