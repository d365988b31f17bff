import type { LogDisk } from './log-disk';

/** kubelet removes what is called so when it next rotates: what a kill leaves behind does not stay. */
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
