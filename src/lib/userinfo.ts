/**
 * From `//` to the last `@` before the path: Go's url.Parse takes `@`, `'` and more in a password. No part of the text is
 * looked at twice, however long its words are: a match begins at `//` and goes no further than the next slash.
 */
const USERINFO = /(?<!\/)\/\/[^\s/"]+@/g;

/** The text with something else in place of the names and passwords that its URLs have before their hosts. */
export function replaceUserinfo(text: string, place: string): string {
  return text.replace(USERINFO, () => `//${place}@`);
}
