import { stat, statfs } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { withDeadline } from '../../lib/async/deadline';
import { hasCode } from '../../lib/errors';
import { isInContainer } from '../../node/cgroup';
import { readText } from '../../node/disk/files';
import { parseMountinfo, unescape } from '../../node/mountinfo';
import type { LayerReading, ReadingClock, Target } from '../readings';
import type { DiskWork } from './disk-work';

/** Timeout for one layer; an Engine that takes longer is asked again much later. */
const ENGINE_MS = 60_000;

/** The Engine call that measures layers which only the Engine can see. */
export interface EngineSizes {
  containerSize(id: string, options: { signal: AbortSignal }): Promise<number | undefined>;
}

export interface LayerSourceParts {
  readonly work: DiskWork;
  readonly engine: EngineSizes;
  readonly clock: ReadingClock;
  /** Whether the Engine's files are on this machine. */
  readonly visible: boolean;
  /** The Engine's data root, '' until known. */
  readonly rootDir: () => string;
  /** The directory below which all layers are, '' until known. */
  readonly imageDirectory: () => string;
}

export interface MeasuredLayer {
  readonly reading: LayerReading;
  /** Milliseconds that the measurement took us or the Engine. */
  readonly costMs: number;
  /** The directory that was walked; undefined where the Engine was asked. */
  readonly directory?: string;
}

/** Measures one container's writable layer: on disk where its directory can be seen, else by the Engine. */
export class LayerSource {
  constructor(private readonly parts: LayerSourceParts) {}

  /** Undefined when the container is gone, or nobody can tell. */
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

  /** The same name as in ImageFsInfo, because kubelet takes equal names for one file system. A layer outside that directory keeps its own name. */
  private mountpointOf(directory: string): string {
    const root = this.parts.imageDirectory();
    return root !== '' && directory.startsWith(`${root}/`) ? root : directory;
  }
}

/** File systems with project quotas that moby uses: XFS, ext4. On others the size may change at any time (ZFS). */
const WITH_QUOTAS: ReadonlySet<number> = new Set([0x58465342, 0xef53]);

export interface Space {
  readonly dev: number;
  readonly type: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bsize: number;
}

/**
 * Bytes that a project quota (`overlay2.size`) has counted already: below such a directory statfs tells the quota's
 * limit and use in place of the file system's (XFS and ext4 do; moby puts the quota on the layer's directory).
 * @param whole a directory above it without a quota; nothing follows from one on another disk.
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
 * The directory on this machine that takes what a container writes: the upper one of the overlay that is its root. The
 * kernel tells it for overlay2 and for the containerd image store alike, so no Engine call is needed.
 * @param rootDir the Engine's data root, for option strings that were too long for absolute paths.
 * @returns undefined for other storage drivers, and when the container does not run.
 */
export async function upperDirectory({ id, pid }: Target, rootDir: string): Promise<string | undefined> {
  const text = await readText(`/proc/${pid}/mountinfo`);
  const upper = text === undefined ? undefined : parseUpper(text);
  // After the read: had the pid been reused before it, the cgroup would tell now.
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
