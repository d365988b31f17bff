import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errnoOf, failedPrecondition } from '../../lib/errors';
import type { CrioDecision } from './crio';
import type { CrioStorage } from './crio-storage';
import type { Target } from './target';

const run = promisify(execFile);
const MAX_OUTPUT = 4 * 1024 * 1024;

/** The places between which skopeo copies. */
export interface SkopeoWay {
  readonly dockerEndpoint: string;
  /** By default, the storage that /etc/containers/storage.conf names. */
  readonly storage: CrioStorage | undefined;
}

/**
 * Returns skopeo's arguments for one name of an image. CRI-O has no API for writing images, so skopeo writes into its storage. CRI-O's
 * own configuration may name another directory than /etc/containers/storage.conf, which skopeo reads.
 */
export function skopeoArguments({ dockerEndpoint, storage }: SkopeoWay, name: string): string[] {
  const store = storage === undefined ? '' : `[${storage.driver}@${storage.root}]`;
  return [
    ...['copy', '--src-daemon-host', dockerEndpoint],
    ...[`docker-daemon:${name}`, `containers-storage:${store}${name}`],
  ];
}

/** Returns the command for a person who has to run it on the node. */
export function skopeoCommand(way: SkopeoWay, name: string): string {
  return ['skopeo', ...skopeoArguments(way, name)].map(quoted).join(' ');
}

/** Quotes what a shell would not pass on as it is, for instance the brackets of a storage. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
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

/**
 * Carries all names of an image with skopeo, and compares the ids that CRI-O returns for them with the digest of the configuration.
 * When this digest is unknown, any image that CRI-O returns for a name is accepted.
 * @throws FAILED_PRECONDITION when CRI-O answers with another image or with none.
 */
export async function carryWithSkopeo(
  { image, configDigest }: Pick<CrioDecision, 'image' | 'configDigest'>,
  way: SkopeoWay,
  target: Pick<Target, 'verify' | 'criImage'>,
  signal: AbortSignal,
  program = 'skopeo',
): Promise<void> {
  for (const name of image.tags) {
    if (configDigest !== undefined && (await target.criImage(name)) === configDigest) continue;
    await run(program, skopeoArguments(way, name), { maxBuffer: MAX_OUTPUT, signal });
    await target.verify(name, configDigest);
  }
}
