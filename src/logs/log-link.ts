import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../lib/errors';
import type { LogSource, RelinkedLog } from './container-logs';
import { inDirectory, logDirectoryOf } from './log-directory';
import type { LogDisk } from './log-disk';

/** What stands at the log's path. */
export type Standing = 'link' | 'file' | 'nothing';

type Place = Pick<LogSource, 'logPath' | 'logDirectory' | 'spoolPath'>;

/** Whether a link to the spool, a file or neither stands for the log. */
export function standingOf({ logPath, logDirectory, spoolPath }: Place): Standing {
  try {
    return inDirectory(logDirectoryOf(logPath, logDirectory), false, (held) =>
      look(`${held}/${basename(logPath)}`, spoolPath),
    );
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'nothing';
    throw error;
  }
}

/**
 * Makes a container's log a link to the Engine's json-file, as cri-dockerd's and dockershim's are. What was copied until now
 * stays beside it under a name that kubelet's rotation would give it: kubelet counts, compresses and removes it as one of the
 * rotated, and shippers know it by its inode. The path leads to a log at every moment, and if the process is killed in between,
 * the next call completes the work. Synchronous, as all file calls of the log worker (ADR 0008).
 * @throws what the file system throws; the log is then as it was.
 */
export function relinkContainerLog(place: Place, now: Date): RelinkedLog {
  const { logPath, logDirectory, spoolPath } = place;
  return inDirectory(logDirectoryOf(logPath, logDirectory), true, (held) => {
    const path = `${held}/${basename(logPath)}`;
    const there = look(path, spoolPath);
    if (there === 'link') return { changed: false, keptAs: '' };
    const kept = there === 'file' ? keepBeside(path, now) : undefined;
    const temporary = `${path}${TEMPORARY}`;
    try {
      fs.rmSync(temporary, { force: true });
      fs.symlinkSync(spoolPath, temporary);
      fs.renameSync(temporary, path);
    } catch (error) {
      if (kept?.isNew === true) fs.rmSync(kept.path, { force: true });
      throw error;
    }
    return {
      changed: true,
      keptAs: kept === undefined ? '' : join(dirname(logPath), basename(kept.path)),
    };
  });
}

function look(path: string, spoolPath: string): Standing {
  const there = fs.lstatSync(path, { throwIfNoEntry: false });
  if (there?.isSymbolicLink() === true && fs.readlinkSync(path) === spoolPath) return 'link';
  return there?.isFile() === true ? 'file' : 'nothing';
}

/**
 * Gives the log's file a second name beside it, or finds the one from an earlier call that was killed before it had made the
 * link.
 */
function keepBeside(log: string, now: Date): { readonly path: string; readonly isNew: boolean } {
  const { ino, nlink } = fs.lstatSync(log);
  if (nlink > 1) {
    const rotated = `${basename(log)}.`;
    const paths = fs
      .readdirSync(dirname(log))
      .filter((name) => name.startsWith(rotated))
      .map((name) => join(dirname(log), name));
    const path = paths.find((other) => fs.lstatSync(other, { throwIfNoEntry: false })?.ino === ino);
    if (path !== undefined) return { path, isNew: false };
  }
  // kubelet may have rotated within the same second.
  for (let second = 0; ; second++) {
    const path = `${log}.${rotationStamp(new Date(now.getTime() + 1000 * second))}`;
    try {
      fs.linkSync(log, path);
      return { path, isNew: true };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }
}

/** Suffix of files in the making. kubelet removes such files when it next rotates, so what a kill leaves behind does not stay. */
export const TEMPORARY = '.tmp';

type Names = Pick<LogDisk, 'inodeAt' | 'linkAt' | 'list'>;

/**
 * Which name in the directory is a link to the spool, as cri-dockerd makes it: the log's own, or the youngest of those that
 * kubelet's rotation made of it by appending a time stamp.
 */
export function linkedName(
  disk: Names,
  directory: string,
  name: string,
  spoolPath: string,
): string | undefined {
  const isLink = (other: string): boolean => disk.linkAt(`${directory}/${other}`) === spoolPath;
  if (isLink(name)) return name;
  return disk
    .list(directory)
    .filter((other) => other.startsWith(`${name}.`) && isLink(other))
    .sort()
    .at(-1);
}

/** The names under which the file with this inode stands in the directory, the log's own name first and alone. */
export function keptBesideAs(disk: Names, directory: string, name: string, ino: string): readonly string[] {
  const isIt = (other: string): boolean => disk.inodeAt(`${directory}/${other}`) === ino;
  if (isIt(name)) return [name];
  return disk.list(directory).filter((other) => other !== name && !other.endsWith('.gz') && isIt(other));
}

/** `20261128-160300`, local time: the suffix that kubelet gives to a log it rotates. */
export function rotationStamp(at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}${two(at.getMonth() + 1)}${two(at.getDate())}`;
  return `${day}-${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`;
}
