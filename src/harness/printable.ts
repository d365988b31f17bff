/** Replaces control characters by spaces, because a text from a tape, a runtime or a container must not control the reader's terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
