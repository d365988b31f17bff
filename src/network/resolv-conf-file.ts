import { constants } from 'node:fs';
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { errnoOf } from '../lib/errors';
import type { EngineContainerInspect } from '../engine/types';
import { namesOnlyStub, wantedResolvConf } from '../translate/sandbox/resolv-conf';

/** Far above any DNS configuration. A pod can write into its own file, so more than this is not read. */
const MAX_BYTES = 64 * 1024;

/** The node's own files. */
export interface NodeResolvConf {
  readonly file: string;
  /** What systemd-resolved asks itself, which it keeps for those who cannot reach its stub. */
  readonly behindStub: string;
}

const NODE: NodeResolvConf = {
  file: '/etc/resolv.conf',
  behindStub: '/run/systemd/resolve/resolv.conf',
};

/**
 * Makes a running sandbox's resolv.conf say what its pod was given. In place, not by rename: it is bound into the
 * pod's containers. For right after a start: later it is the pod's own file, which it may have changed.
 * @param untouchedOnly leaves a file alone that was written to since the start, for a start that nobody saw.
 * @throws the system's error when the file is not there, as with an Engine on another machine.
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
    // The Engine writes it before it starts the process.
    if (untouchedOnly && (await file.stat()).mtimeMs > Date.parse(sandbox.State.StartedAt)) return true;
    const present = await readStart(file);
    return present !== undefined && meaning(present) === meaning(text);
  });
  // Only now: where the Engine's files are mounted read-only, most of them are right.
  if (!isRight) await withFile(wanted.path, constants.O_WRONLY, (file) => replaceText(file, text));
}

/** The node's file as it is, as with containerd and CRI-O, but for a stub that a pod's own network has no way to. */
async function nodeText({ file, behindStub }: NodeResolvConf, hostNetwork: boolean): Promise<string> {
  const text = (await readIfThere(file)) ?? '';
  return hostNetwork || !namesOnlyStub(text) ? text : ((await readIfThere(behindStub)) ?? text);
}

/** Undefined when there is none. */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * In one write and cut only afterwards, so that nobody reads an empty file; blank lines mean nothing. A reader in the very
 * moment in which the kernel copies these few hundred bytes may see some of both texts: a file that is bound into
 * containers cannot be replaced as a whole.
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

/** Undefined when it is too large to be one of ours. */
async function readStart(file: FileHandle): Promise<string | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0);
  return bytesRead > MAX_BYTES ? undefined : buffer.toString('utf8', 0, bytesRead);
}

/** Lines in any order: only that of the servers matters, and the Engine keeps it. */
function meaning(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const isServer = (line: string): boolean => line.startsWith('nameserver');
  return [...lines.filter((line) => !isServer(line)).sort(), ...lines.filter(isServer)].join('\n');
}
