/** Values as the kernel writes them: digits or `unlimited`. */
export interface ProcessLimit {
  readonly soft: string;
  readonly hard: string;
}

/** @param text of /proc/PID/limits. @returns the limits by the kernel's names, such as `Max open files`. */
export function parseLimits(text: string): Map<string, ProcessLimit> {
  const lines = text.matchAll(/^(Max \S+(?: \S+)*?) {2,}(\d+|unlimited) +(\d+|unlimited)\b/gm);
  return new Map([...lines].map(([, name = '', soft = '', hard = '']) => [name, { soft, hard }]));
}
