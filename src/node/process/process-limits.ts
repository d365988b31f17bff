/** One resource limit of a process. The values have the kernel's form: digits or `unlimited`. */
export interface ProcessLimit {
  readonly soft: string;
  readonly hard: string;
}

/**
 * Parses resource limits.
 * @param text the text of /proc/PID/limits.
 * @returns the limits by the kernel's names, such as `Max open files`.
 */
export function parseLimits(text: string): Map<string, ProcessLimit> {
  const lines = text.matchAll(/^(Max \S+(?: \S+)*?) {2,}(\d+|unlimited) +(\d+|unlimited)\b/gm);
  return new Map([...lines].map(([, name = '', soft = '', hard = '']) => [name, { soft, hard }]));
}
