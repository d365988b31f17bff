import { fstatSync } from 'node:fs';
import type { LogLevel } from './logger';

/**
 * What systemd takes off the beginning of a line and turns into the line's priority, as sd-daemon(3) says, so that
 * `journalctl -p warning` finds it.
 */
export const JOURNAL_PRIORITY: Readonly<Record<LogLevel, string>> = {
  error: '<3>',
  warn: '<4>',
  info: '<6>',
  debug: '<7>',
  trace: '<7>',
};

/**
 * Whether standard error goes to the journal of systemd. A variable that was inherited from another process names another
 * stream, so the variable alone says nothing.
 * @param stream JOURNAL_STREAM, which systemd sets to `device:inode` of the stream that it opened.
 * @param file standard error; tests have their own.
 */
export function isJournal(
  stream: string | undefined,
  file: () => { readonly dev: number; readonly ino: number } = () => fstatSync(2),
): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = file();
  return stream === `${dev}:${ino}`;
}
