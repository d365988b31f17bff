import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errnoOf, failedPrecondition } from '../../lib/errors';
import type { ChosenImage } from './selection';
import type { Target } from './target';

const run = promisify(execFile);
const MAX_OUTPUT = 4 * 1024 * 1024;

/**
 * Returns skopeo's arguments for one name of an image. CRI-O has no API for writing images: skopeo writes into the storage that
 * CRI-O uses, which /etc/containers/storage.conf names for both.
 */
export function skopeoArguments(dockerEndpoint: string, name: string): string[] {
  return ['copy', '--src-daemon-host', dockerEndpoint, `docker-daemon:${name}`, `containers-storage:${name}`];
}

/** The command for a person who has to run it on the node. */
export function skopeoCommand(dockerEndpoint: string, name: string): string {
  return `skopeo ${skopeoArguments(dockerEndpoint, name).join(' ')}`;
}

/** @returns whether skopeo is installed. */
export async function hasSkopeo(program = 'skopeo'): Promise<boolean> {
  try {
    await run(program, ['--version']);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw failedPrecondition(`${program} --version fails: ${String(error)}`);
  }
}

/** Carries all names of an image with skopeo, and compares what CRI-O answers. */
export async function carryWithSkopeo(
  image: ChosenImage,
  dockerEndpoint: string,
  target: Pick<Target, 'verify' | 'criImage'>,
  signal: AbortSignal,
  program = 'skopeo',
): Promise<void> {
  for (const name of image.tags) {
    if ((await target.criImage(name)) === image.id) continue;
    await run(program, skopeoArguments(dockerEndpoint, name), { maxBuffer: MAX_OUTPUT, signal });
    await target.verify(name, image.id);
  }
}
