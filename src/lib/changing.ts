/** Either a fixed value or, for a value that may change, a function that is called each time the value is needed. */
export type Changing<T extends number | readonly string[]> = T | (() => T);

export function valueNow<T extends number | readonly string[]>(changing: Changing<T>): T {
  return typeof changing === 'function' ? changing() : changing;
}
