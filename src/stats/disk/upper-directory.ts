import { isAbsolute, join } from 'node:path';
import { isInContainer } from '../../node/cgroup/members';
import { readText } from '../../node/disk/files';
import { parseMountinfo, unescape } from '../../node/mountinfo';
import type { Target } from '../usage-source';

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
