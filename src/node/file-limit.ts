import { readFileSync } from 'node:fs';
import type { Logger } from '../lib/logger';
import { parseLimits } from './process/process-limits';

/**
 * Returns the soft RLIMIT_NOFILE in the text of /proc/PID/limits.
 * @returns Infinity for `unlimited`, undefined when the text has no such line.
 */
export function parseFileLimit(text: string): number | undefined {
  const soft = parseLimits(text).get('Max open files')?.soft;
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Infinity : Number(soft);
}

/** Returns how many files this process may have open. Node.js raised the soft limit to the hard limit at its start. */
export function fileLimit(path = '/proc/self/limits'): number {
  try {
    return parseFileLimit(readFileSync(path, 'utf8')) ?? Infinity;
  } catch {
    return Infinity;
  }
}

/** A limit that suffices for a few hundred containers with their logs and streams. */
export const ENOUGH_FILES = 4_096;
/** At most this many control group files stay open: enough for about two hundred containers and pods. */
const MOST_HELD = 1_024;
/** The share of the limit that may be used for control group files. Calls, logs and streams need the rest. */
const HELD_SHARE = 1 / 8;

/** Returns how many control group files may stay open. Files beyond these are opened for each reading, which is slower. */
export function mostHeldFiles(limit: number): number {
  return Math.min(MOST_HELD, Math.floor(limit * HELD_SHARE));
}

/** Logs a warning at the start when the limit is low, so that nobody has to infer it from later failures. */
export function tellFileLimit(logger: Logger, path?: string): void {
  const limit = fileLimit(path);
  if (limit < ENOUGH_FILES)
    logger.warn('The limit of open files is low; with many containers, logs and calls will fail', {
      limit,
      recommended: ENOUGH_FILES,
      setting: 'LimitNOFILE= of the systemd unit, or ulimit -n',
    });
  else
    logger.debug(
      () => 'The limit of open files is high enough',
      () => ({ limit }),
    );
}
