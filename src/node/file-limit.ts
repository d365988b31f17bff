import { readFileSync } from 'node:fs';

/** How many files this process may have open. Node.js has raised the soft limit to the hard one when it started. */
export function fileLimit(path = '/proc/self/limits'): number {
  try {
    return Number(/^Max open files\s+(\d+)/m.exec(readFileSync(path, 'utf8'))?.[1] ?? Infinity);
  } catch {
    return Infinity;
  }
}
