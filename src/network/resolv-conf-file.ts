import { constants } from 'node:fs';
import { open, readFile, type FileHandle } from 'node:fs/promises';
import type { EngineContainerInspect } from '../engine/types';
import { errnoOf } from '../lib/errors';
import { namesOnlyStub, wantedResolvConf } from '../translate/sandbox/resolv-conf';

/**
 * The maximum number of bytes that are read, because a pod can write to its own file. Every real DNS configuration is far
 * smaller.
 */
const MAX_BYTES = 64 * 1024;

/** The paths of the node's resolv.conf files. */
export interface NodeResolvConf {
  readonly file: string;
  /**
   * The file with the servers that systemd-resolved itself asks. It is for clients that cannot reach systemd-resolved's stub.
   */
  readonly behindStub: string;
}

const NODE: NodeResolvConf = {
  file: '/etc/resolv.conf',
  behindStub: '/run/systemd/resolve/resolv.conf',
};

/**
 * Writes a pod's DNS configuration into the resolv.conf of its running sandbox. The file is written in place, because it is
 * bound into the pod's containers. It is written right after the start, because later the pod may have changed the file.
 * @param untouchedOnly if true, a file that was written since the start is not changed. This is for a start that nobody
 * observed.
 * @throws the system's error when the file is missing, as with an Engine on another machine.
 */
export async function keepResolvConf(
  sandbox: EngineContainerInspect,
  untouchedOnly = false,
  node = NODE,
): Promise<void> {
  const wanted = wantedResolvConf(sandbox);
  if (wanted === undefined) return;
  const text = wanted.text ?? (await nodeText(node, wanted.hostNetwork));
  const isRight = await withFile(wanted.path, constants.O_RDONLY, async (file) => {
    // A later time means that the pod has changed the file, because the Engine writes the file before the start.
    if (untouchedOnly && (await file.stat()).mtimeMs > Date.parse(sandbox.State.StartedAt)) return true;
    const present = await readStart(file);
    return present !== undefined && meaning(present) === meaning(text);
  });
  // The file is opened for writing only now, because the Engine's files may be mounted read-only, and most of them need no
  // change.
  if (!isRight) await withFile(wanted.path, constants.O_WRONLY, (file) => replaceText(file, text));
}

/** Reads the node's file, as containerd and CRI-O do, unless it names only a stub that the pod's own network cannot reach. */
async function nodeText({ file, behindStub }: NodeResolvConf, hostNetwork: boolean): Promise<string> {
  const text = (await readIfThere(file)) ?? '';
  return hostNetwork || !namesOnlyStub(text) ? text : ((await readIfThere(behindStub)) ?? text);
}

/** @returns undefined when there is no such file. */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Writes the text in one call, padded with blank lines, and truncates the file only afterwards, so that nobody reads an empty
 * file. A reader may still see parts of both texts while the kernel copies these few hundred bytes, because a file that is
 * bound into containers cannot be replaced as a whole.
 */
async function replaceText(file: FileHandle, text: string): Promise<void> {
  const { size } = await file.stat();
  if (size > MAX_BYTES) await file.truncate();
  const bytes = Buffer.alloc(Math.max(Buffer.byteLength(text), Math.min(size, MAX_BYTES)), '\n');
  bytes.write(text);
  await file.write(bytes, 0, bytes.length, 0);
  await file.truncate(Buffer.byteLength(text));
}

async function withFile<T>(path: string, flags: number, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, flags | constants.O_NOFOLLOW);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** @returns undefined when the file is too large to be one of ours. */
async function readStart(file: FileHandle): Promise<string | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0);
  return bytesRead > MAX_BYTES ? undefined : buffer.toString('utf8', 0, bytesRead);
}

/** Returns the lines in a canonical order. Only the order of the servers matters, and the Engine keeps that order. */
function meaning(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const isServer = (line: string): boolean => line.startsWith('nameserver');
  return [...lines.filter((line) => !isServer(line)).sort(), ...lines.filter(isServer)].join('\n');
}
