import { stat, statfs } from 'node:fs/promises';
import { readText } from '../../node/disk/files';
import { parseMountinfo } from '../../node/mountinfo';
import type { FileSystem } from './container-families';

/** A file system with the number of its device. */
export type NumberedFileSystem = Omit<FileSystem, 'device'> & { readonly dev: number };

/** The current names of this machine's block devices and mounts, by `major:minor`. */
export class BlockDevices {
  private constructor(
    private readonly disks: ReadonlyMap<string, string>,
    private readonly mounts: ReadonlyMap<string, string>,
  ) {}

  static async read(): Promise<BlockDevices> {
    const [diskstats = '', mountinfo = ''] = await Promise.all(
      ['/proc/diskstats', '/proc/self/mountinfo'].map(readText),
    );
    const mounts = parseMountinfo(mountinfo).map(({ device, source }) => [device, source] as const);
    return new BlockDevices(parseDiskstats(diskstats), new Map(mounts));
  }

  pathOf(major: string, minor: string): string {
    return this.disks.get(`${major}:${minor}`) ?? `${major}:${minor}`;
  }

  named({ dev, ...fileSystem }: NumberedFileSystem): FileSystem {
    const number = deviceNumber(dev);
    // A file system on several disks (btrfs) has a device number of its own, which only the mount table contains.
    const device = this.disks.get(number) ?? this.mounts.get(number) ?? number;
    return { device, ...fileSystem };
  }
}

/** Reads the size and use of the file system that contains `directory`. */
export async function readFileSystem(directory: string): Promise<NumberedFileSystem> {
  const { dev } = await stat(directory);
  const { blocks, bsize, files, ffree } = await statfs(directory);
  return { dev, totalBytes: blocks * bsize, totalInodes: files, freeInodes: ffree };
}

/** Parses /proc/diskstats, whose lines contain major, minor, name and counters. */
export function parseDiskstats(text: string): Map<string, string> {
  const lines = text.matchAll(/^\s*(\d+)\s+(\d+)\s+(\S+)/gm);
  return new Map([...lines].map(([, major, minor, name = '']) => [`${major}:${minor}`, `/dev/${name}`]));
}

/** Converts a device number to `major:minor`, like gnu_dev_major and gnu_dev_minor of glibc. */
export function deviceNumber(dev: number): string {
  const wide = BigInt(dev);
  const major = ((wide >> 8n) & 0xfffn) | ((wide >> 32n) & ~0xfffn);
  const minor = (wide & 0xffn) | ((wide >> 12n) & ~0xffn & 0xffffffffn);
  return `${major}:${minor}`;
}
