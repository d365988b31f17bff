import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../lib/errors';
import type { LogSource, RelinkedLog } from './container-logs';
import { inDirectory, logDirectoryOf } from './log-directory';
import type { LogDisk } from './log-disk';

/** What is at the log's path. */
export type Standing = 'link' | 'file' | 'nothing';

type Place = Pick<LogSource, 'logPath' | 'logDirectory' | 'spoolPath'>;

/** Returns whether the log's path has a link to the spool, a file, or neither. */
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
 * Replaces a container's log by a link to the Engine's json-file, as cri-dockerd and dockershim make it. The copy stays next to
 * the link under a name that kubelet's rotation would give it. kubelet therefore counts, compresses and removes the copy as a
 * rotated file, and log shippers recognize it by its inode. The path leads to a log at every moment. If the process is killed
 * in between, the next call completes the work. The file calls are synchronous, like all file calls of the log worker (ADR
 * 0008).
 * @throws the file system's error; the log is then unchanged.
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
 * Gives the log's file a second name next to it. If an earlier call was killed before it had made the link, finds the second
 * name from that call.
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
  // This name may exist already, because kubelet may have rotated within the same second.
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

/**
 * Suffix of unfinished files. kubelet removes files with this suffix when it next rotates, so those that a killed process
 * leaves behind do not stay.
 */
export const TEMPORARY = '.tmp';

type Names = Pick<LogDisk, 'inodeAt' | 'linkAt' | 'list'>;

/**
 * Finds the name of the link to the spool in the directory. It is the log's own name or, after kubelet's rotation, the youngest
 * of the names with an appended time stamp.
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

/** Lists the names of the file with this inode in the directory. If the log's own name is among them, returns only that. */
export function keptBesideAs(disk: Names, directory: string, name: string, ino: string): readonly string[] {
  const isIt = (other: string): boolean => disk.inodeAt(`${directory}/${other}`) === ino;
  if (isIt(name)) return [name];
  return disk.list(directory).filter((other) => other !== name && !other.endsWith('.gz') && isIt(other));
}

/** Returns the suffix that kubelet appends to a log that it rotates, such as `20261128-160300`, in local time. */
export function rotationStamp(at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}${two(at.getMonth() + 1)}${two(at.getDate())}`;
  return `${day}-${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`;
}
