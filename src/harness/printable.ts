/** The text with a space in place of control characters: what a tape, a runtime or a container wrote must not move the cursor of who reads it. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
