/** Escapes text for an element of XML or HTML. XML 1.0 cannot write most control characters, nor half of a surrogate pair. */
export function escapeText(value: string): string {
  return value
    .replace(/(?![\t\n\r])\p{Cc}|[\ufffe\uffff]|\p{Cs}/gu, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

/** Escapes text for an attribute in double quotes. A reader of XML would replace bare tabs and line ends with spaces. */
export function escapeAttribute(value: string): string {
  return escapeText(value)
    .replaceAll('"', '&quot;')
    .replaceAll('\t', '&#9;')
    .replaceAll('\n', '&#10;')
    .replaceAll('\r', '&#13;');
}

/** Escapes text for a comment, which must not contain two hyphens. */
export function escapeComment(value: string): string {
  return escapeText(value).replaceAll('--', '- -').replace(/-$/, '- ');
}
