/** Returns a function that tests whether a whole text matches a pattern: `*` stands for any characters, and `?` for one. */
export function matcher(pattern: string): (text: string) => boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const expression = new RegExp(`^${source}$`, 's');
  return (text) => expression.test(text);
}

/** Returns a function that tests whether a pod `namespace/name` matches. A pattern without a slash is compared with the name alone. */
export function podMatcher(pattern: string): (pod: string) => boolean {
  const matches = matcher(pattern);
  return pattern.includes('/') ? matches : (pod) => matches(pod.slice(pod.indexOf('/') + 1));
}
