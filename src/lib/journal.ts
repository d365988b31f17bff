import { fstatSync } from 'node:fs';
import type { LogLevel } from './logger';

/**
 * The prefix of a log line for each level. systemd removes the prefix and turns it into the line's priority (sd-daemon(3)), so
 * that `journalctl -p warning` finds the line.
 */
export const JOURNAL_PRIORITY: Readonly<Record<LogLevel, string>> = {
  error: '<3>',
  warn: '<4>',
  info: '<6>',
  debug: '<7>',
  trace: '<7>',
};

/**
 * Whether standard error goes to systemd's journal. The variable alone is no proof, because a process may inherit it although
 * its standard error is another stream.
 * @param stream JOURNAL_STREAM, which systemd sets to `device:inode` of the stream that it opened.
 * @param file standard error; tests replace it.
 */
export function isJournal(
  stream: string | undefined,
  file: () => { readonly dev: number; readonly ino: number } = () => fstatSync(2),
): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = file();
  return stream === `${dev}:${ino}`;
}
