/** Like Array.map, but an element is made when it is asked for. */
export function* mapLazily<From, To>(items: Iterable<From>, make: (item: From) => To): Generator<To> {
  for (const item of items) yield make(item);
}
