const BACKSLASH = 0x5c;

/** `hexAt(...)` is -1 when the four bytes are not hexadecimal digits. */
function hexAt(source: Uint8Array, at: number): number {
  let value = 0;
  for (let index = at; index < at + 4; index++) {
    const byte = source[index] ?? 0;
    const digit =
      byte >= 0x30 && byte <= 0x39
        ? byte - 0x30
        : byte >= 0x61 && byte <= 0x66
          ? byte - 0x57
          : byte >= 0x41 && byte <= 0x46
            ? byte - 0x37
            : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

const SHORT = new Map<number, number>([
  [0x22, 0x22],
  [BACKSLASH, BACKSLASH],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);

/** How many source bytes `unescapeAt` takes for this escape; 0: none of ours (a surrogate, no escape at all). */
export function escapeLength(source: Uint8Array, at: number): number {
  const kind = source[at + 1] ?? 0;
  if (kind !== 0x75) return SHORT.has(kind) ? 2 : 0;
  const code = hexAt(source, at + 2);
  // Docker writes characters beyond the BMP as UTF-8; pairs of surrogates are left to JSON.parse.
  return code < 0 || (code >= 0xd800 && code <= 0xdfff) ? 0 : 6;
}

/** Writes the UTF-8 bytes of the escape at `source[at]` (checked by `escapeLength`); returns how many. */
export function unescapeAt(source: Uint8Array, at: number, target: Uint8Array, to: number): number {
  const kind = source[at + 1] ?? 0;
  const code = kind === 0x75 ? hexAt(source, at + 2) : (SHORT.get(kind) ?? 0);
  if (code < 0x80) {
    target[to] = code;
    return 1;
  }
  if (code < 0x800) {
    target[to] = 0xc0 | (code >> 6);
    target[to + 1] = 0x80 | (code & 0x3f);
    return 2;
  }
  target[to] = 0xe0 | (code >> 12);
  target[to + 1] = 0x80 | ((code >> 6) & 0x3f);
  target[to + 2] = 0x80 | (code & 0x3f);
  return 3;
}
