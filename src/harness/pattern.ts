/** Whether the whole text matches a shell pattern: `*` stands for any characters, `?` for one. */
export function matcher(pattern: string): (text: string) => boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const expression = new RegExp(`^${source}$`, 's');
  return (text) => expression.test(text);
}

/** A pod is meant by its name, or by `namespace/name`; both may be patterns. */
export function podMatcher(pattern: string): (pod: string) => boolean {
  const matches = matcher(pattern);
  return pattern.includes('/') ? matches : (pod) => matches(pod.slice(pod.indexOf('/') + 1));
}
