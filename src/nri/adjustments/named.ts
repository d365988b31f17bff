import type { FieldName, FieldOwners } from './owners';

/** A plugin removes something by putting this before its key. */
const REMOVAL = '-';

/** Divides a key from its mark. */
export function parseKey(key: string): { readonly key: string; readonly isRemoved: boolean } {
  return key.startsWith(REMOVAL)
    ? { key: key.slice(REMOVAL.length), isRemoved: true }
    : { key, isRemoved: false };
}

export function markRemoved(key: string): string {
  return REMOVAL + key;
}

/** A part of the container that plugins change: what they set, and the keys of what they remove. */
export interface Changes<T> {
  readonly set: T;
  readonly removed: readonly string[];
}

/** What one plugin asks of a list or map whose elements have keys. */
export interface NamedChange<T> {
  readonly removed: ReadonlySet<string>;
  readonly set: readonly (readonly [string, T])[];
}

export function parseChange<T>(elements: Iterable<readonly [string, T]>): NamedChange<T> {
  const removed = new Set<string>();
  const set: [string, T][] = [];
  for (const [marked, value] of elements) {
    const { key, isRemoved } = parseKey(marked);
    if (isRemoved) removed.add(key);
    else set.push([key, value]);
  }
  return { removed, set };
}

/** What all plugins together ask of a list or map whose elements have keys. */
export class NamedMerge<T> {
  /** Undefined means removed. */
  private readonly entries = new Map<string, T | undefined>();

  constructor(
    private readonly field: FieldName,
    private readonly owners: FieldOwners,
  ) {}

  /**
   * Adds the changes of the next plugin. A plugin may replace what an earlier one has set only by removing it as well.
   * @throws RuntimeError FAILED_PRECONDITION at a conflict.
   */
  apply(plugin: string, { removed, set }: NamedChange<T>): void {
    for (const key of removed)
      if (this.entries.get(key) !== undefined) this.owners.clearKey(this.field, key, plugin);
    for (const [key] of set) this.owners.claimKey(this.field, key, plugin);
    for (const key of removed) this.entries.set(key, undefined);
    for (const [key, value] of set) {
      // A map keeps the place of a key, and what is set later comes later.
      this.entries.delete(key);
      this.entries.set(key, value);
    }
  }

  /** Returns what is set, in order. */
  values(): T[] {
    return [...this.entries.values()].filter((value) => value !== undefined);
  }

  /** Returns keys and values. A removed key has its mark and the value that `removal` makes from it. */
  toEntries<R>(removal: (marked: string) => R): [string, T | R][] {
    return [...this.entries].map(([key, value]) =>
      value === undefined ? [markRemoved(key), removal(markRemoved(key))] : [key, value],
    );
  }
}

/** Returns a map after a plugin's change, as the next plugin sees it. */
export function changedMap<T>(map: Readonly<Record<string, T>>, change: NamedChange<T>): Record<string, T> {
  const kept = Object.entries(map).filter(([key]) => !change.removed.has(key));
  return Object.fromEntries([...kept, ...change.set]);
}

/** Returns a list after a plugin's change, as the next plugin sees it. */
export function changedList<T, E>(
  list: readonly E[],
  keyOf: (element: E) => string,
  change: NamedChange<T>,
  make: (value: T) => E,
): E[] {
  const replaced = new Set(change.set.map(([key]) => key));
  const kept = list.filter((element) => {
    const key = keyOf(element);
    return !change.removed.has(key) && !replaced.has(key);
  });
  return [...kept, ...change.set.map(([, value]) => make(value))];
}
