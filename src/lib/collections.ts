/** A set that remembers the last `capacity` values added and forgets the oldest beyond that. */
export class BoundedSet<T> {
  private readonly values = new Set<T>();

  constructor(private readonly capacity: number) {}

  add(value: T): void {
    this.values.delete(value);
    this.values.add(value);
    if (this.values.size > this.capacity) {
      for (const oldest of this.values) {
        this.values.delete(oldest);
        break;
      }
    }
  }

  has(value: T): boolean {
    return this.values.has(value);
  }
}

/** Like Array.map, but makes each element only when it is asked for. */
export function* mapLazily<From, To>(items: Iterable<From>, make: (item: From) => To): Generator<To> {
  for (const item of items) yield make(item);
}
