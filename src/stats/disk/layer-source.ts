import { stat, statfs } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { withDeadline } from '../../lib/async/deadline';
import { hasCode } from '../../lib/errors';
import { isInContainer } from '../../node/cgroup';
import { readText } from '../../node/disk/files';
import { parseMountinfo, unescape } from '../../node/mountinfo';
import type { LayerReading, ReadingClock, Target } from '../readings';
import type { DiskWork } from './disk-work';

/** Timeout for one layer in ms. If the Engine takes longer, it is asked again much later. */
const ENGINE_MS = 60_000;

/** The Engine call that measures a layer, for layers that only the Engine can see. */
export interface EngineSizes {
  containerSize(id: string, options: { signal: AbortSignal }): Promise<number | undefined>;
}

export interface LayerSourceParts {
  readonly work: DiskWork;
  readonly engine: EngineSizes;
  readonly clock: ReadingClock;
  /** Whether the Engine's files are on this machine and visible to this daemon. */
  readonly visible: boolean;
  /** The Engine's data root; '' until it is known. */
  readonly rootDir: () => string;
  /** The directory that contains all layers; '' until it is known. */
  readonly imageDirectory: () => string;
}

export interface MeasuredLayer {
  readonly reading: LayerReading;
  /** Milliseconds that the measurement took, whether we or the Engine made it. */
  readonly costMs: number;
  /** The directory that was walked; undefined when the Engine made the measurement. */
  readonly directory?: string;
}

/** Measures one container's writable layer. Walks the layer's directory if it is visible here, otherwise asks the Engine. */
export class LayerSource {
  constructor(private readonly parts: LayerSourceParts) {}

  /** Resolves with undefined when the container is gone or its layer cannot be measured. */
  async measure(target: Target, signal: AbortSignal): Promise<MeasuredLayer | undefined> {
    const { visible, rootDir } = this.parts;
    const directory = visible ? await upperDirectory(target, rootDir()) : undefined;
    const onDisk = directory === undefined ? undefined : await this.onDisk(directory);
    return onDisk ?? (await this.byEngine(target.id, signal));
  }

  private async onDisk(directory: string): Promise<MeasuredLayer | undefined> {
    const { work, clock } = this.parts;
    const measured = await work.measure(directory);
    if (measured === undefined) return undefined;
    const mountpoint = this.mountpointOf(directory);
    const usedBytes = (await quotaUsage(directory, this.parts.imageDirectory())) ?? measured.bytes;
    const { inodes: inodesUsed, busyMs: costMs } = measured;
    return { reading: { timestamp: clock.now(), mountpoint, usedBytes, inodesUsed }, costMs, directory };
  }

  private async byEngine(id: string, signal: AbortSignal): Promise<MeasuredLayer | undefined> {
    const { engine, clock, imageDirectory } = this.parts;
    const start = performance.now();
    try {
      const usedBytes = await withDeadline(`The size of ${id}`, ENGINE_MS, signal, (limit) =>
        engine.containerSize(id, { signal: limit }),
      );
      const costMs = performance.now() - start;
      if (usedBytes === undefined) return undefined;
      return { reading: { timestamp: clock.now(), mountpoint: imageDirectory(), usedBytes }, costMs };
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /**
   * Returns the mount point to report for a layer. The name must be the same as in ImageFsInfo, because kubelet treats equal
   * names as one file system. A layer outside that directory keeps a name of its own.
   */
  private mountpointOf(directory: string): string {
    const root = this.parts.imageDirectory();
    return root !== '' && directory.startsWith(`${root}/`) ? root : directory;
  }
}

/**
 * The types of file systems on which moby uses project quotas: XFS and ext4. On other file systems the size may change at any
 * time (ZFS).
 */
const WITH_QUOTAS: ReadonlySet<number> = new Set([0x58465342, 0xef53]);

export interface Space {
  readonly dev: number;
  readonly type: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bsize: number;
}

/**
 * Returns the number of bytes that a project quota (`overlay2.size`) has counted already. moby sets the quota on the layer's
 * directory, and inside it statfs reports the quota's limit and usage instead of the file system's (on XFS and ext4).
 * @param whole a directory above the layer's that has no quota, to compare with. It must be on the same disk.
 * @returns undefined without a quota.
 */
export async function quotaUsage(
  directory: string,
  whole: string,
  read: (path: string) => Promise<Space> = readSpace,
): Promise<number | undefined> {
  try {
    const [own, all] = await Promise.all([read(directory), read(whole)]);
    if (own.dev !== all.dev || !WITH_QUOTAS.has(own.type)) return undefined;
    if (own.blocks === all.blocks || own.bsize !== all.bsize) return undefined;
    return (own.blocks - own.bfree) * own.bsize;
  } catch {
    return undefined;
  }
}

async function readSpace(path: string): Promise<Space> {
  const { dev } = await stat(path);
  const { type, blocks, bfree, bsize } = await statfs(path);
  return { dev, type, blocks, bfree, bsize };
}

/**
 * Finds the directory on this machine to which a container's writes go: the upper directory of the overlay that is its root.
 * The kernel reports it for overlay2 and for the containerd image store, so no Engine call is needed.
 * @param rootDir the Engine's data root. Mount options contain paths relative to it when absolute paths would be too long.
 * @returns undefined for other storage drivers, and when the container is not running.
 */
export async function upperDirectory({ id, pid }: Target, rootDir: string): Promise<string | undefined> {
  const text = await readText(`/proc/${pid}/mountinfo`);
  const upper = text === undefined ? undefined : parseUpper(text);
  // The cgroup is checked after the read, so that a pid that was reused before the read is noticed.
  if (upper === undefined || !(await isInContainer(pid, id))) return undefined;
  return isAbsolute(upper) ? upper : join(rootDir, 'overlay2', upper);
}

export function parseUpper(mountinfo: string): string | undefined {
  const root = parseMountinfo(mountinfo).find(
    ({ mountPoint, type }) => mountPoint === '/' && type === 'overlay',
  );
  const upper = /(?:^|,)upperdir=((?:\\.|[^,\\])*)/.exec(root?.superOptions ?? '')?.[1];
  return upper && unescape(upper);
}
