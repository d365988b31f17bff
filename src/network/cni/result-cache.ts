import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf, type RuntimeError, unavailable } from '../../lib/errors';
import { listDirectory } from '../../node/disk/files';
import { isObject, type JsonObject, parseObject, text } from '../../lib/json';
import type { CniResult } from './result';

/** One interface of one pod on one network, described by the arguments of its ADD and later of its CHECK and DEL. */
export interface Attachment {
  readonly containerId: string;
  readonly networkName: string;
  readonly ifName: string;
  /** Path of the network namespace; '' once it is gone. */
  readonly netns: string;
  /** `CNI_ARGS`, in order. */
  readonly cniArgs: readonly (readonly [string, string])[];
  /** `runtimeConfig` by capability. Each plugin gets the capabilities that it declares. */
  readonly capabilityArgs: JsonObject;
}

/** An ADD that has begun, with its result once it has succeeded. */
export interface CachedAttachment extends Attachment {
  /** The network's configuration at the time of the ADD, as JSON text. */
  readonly config: string;
  /** Undefined when the ADD never finished. Its effects must still be undone. */
  readonly result: CniResult | undefined;
}

const KIND = 'cniCacheV1';

/**
 * The attachments on disk, in the format and directory of CNI's own Go library, so that cri-dockerd and dockbridge can read
 * each other's attachments. All attachments are also kept in memory, because no other program writes them while dockbridge is
 * running.
 */
export class ResultCache {
  private readonly directory: string;
  private readonly byContainer = new Map<string, Map<string, CachedAttachment>>();
  /**
   * Files that are not entries, by name. They are damaged files, and files in which old versions of the library stored only a
   * result.
   */
  private readonly unreadable = new Map<string, CniResult | undefined>();

  constructor(cacheDir: string) {
    this.directory = join(cacheDir, 'results');
  }

  async load(): Promise<void> {
    this.byContainer.clear();
    this.unreadable.clear();
    for (const name of await listDirectory(this.directory)) {
      // A killed daemon has left this file half written.
      if (name.startsWith('.')) {
        if (name.endsWith('.dockbridge')) await this.removeDraft(join(this.directory, name));
        continue;
      }
      const json = await readFile(join(this.directory, name), 'utf8').catch(() => '');
      const entry = decode(json);
      if (entry !== undefined && fileName(entry) === name) this.remember(entry);
      else this.unreadable.set(name, entry === undefined ? bareResult(json) : entry.result);
    }
  }

  of(containerId: string): CachedAttachment[] {
    return [...(this.byContainer.get(containerId)?.values() ?? [])];
  }

  /** Reads the results in the container's files that are not entries; undefined for a file that cannot be read. */
  unreadableOf(containerId: string): (CniResult | undefined)[] {
    return this.unreadableNames(containerId).map((name) => this.unreadable.get(name));
  }

  async removeUnreadable(containerId: string): Promise<void> {
    for (const name of this.unreadableNames(containerId)) {
      await this.removeFile(name);
      this.unreadable.delete(name);
    }
  }

  values(): CachedAttachment[] {
    return [...this.byContainer.values()].flatMap((entries) => [...entries.values()]);
  }

  /** Writes an entry completely or not at all. The entry is on disk when this resolves. */
  async put(entry: CachedAttachment): Promise<void> {
    this.remember(entry);
    const path = join(this.directory, fileName(entry));
    const draft = join(this.directory, `.${fileName(entry)}.dockbridge`);
    const write = (): Promise<void> => writeFile(draft, encode(entry), { mode: 0o600 });
    try {
      await write().catch(async () => {
        await mkdir(this.directory, { recursive: true, mode: 0o700 });
        await write();
      });
      await rename(draft, path);
    } catch (error) {
      await this.removeDraft(draft);
      throw this.unwritable(error);
    }
  }

  async remove(entry: Attachment): Promise<void> {
    await this.removeFile(fileName(entry));
    const entries = this.byContainer.get(entry.containerId);
    entries?.delete(fileName(entry));
    if (entries?.size === 0) this.byContainer.delete(entry.containerId);
  }

  /**
   * Removes a draft. If the disk has become read-only, the draft stays. Nobody reads it, and the next start tries to remove it
   * again.
   */
  private async removeDraft(path: string): Promise<void> {
    await rm(path, { force: true }).catch(() => undefined);
  }

  private async removeFile(name: string): Promise<void> {
    await rm(join(this.directory, name), { force: true }).catch((error: unknown) => {
      throw this.unwritable(error);
    });
  }

  private unwritable(error: unknown): RuntimeError {
    const why = errnoOf(error) ?? messageOf(error);
    return unavailable(`the CNI cache in ${this.directory} cannot be written (${why})`, { cause: error });
  }

  private unreadableNames(containerId: string): string[] {
    return [...this.unreadable.keys()].filter((name) => name.includes(`-${containerId}-`));
  }

  private remember(entry: CachedAttachment): void {
    const entries = this.byContainer.get(entry.containerId) ?? new Map<string, CachedAttachment>();
    this.byContainer.set(entry.containerId, entries.set(fileName(entry), entry));
  }
}

/** Reads the attachments of one container from disk, for callers without a ResultCache. */
export async function readAttachments(cacheDir: string, containerId: string): Promise<CachedAttachment[]> {
  const directory = join(cacheDir, 'results');
  const names = (await listDirectory(directory)).filter((name) => name.includes(`-${containerId}-`));
  const entries = await Promise.all(
    // Returns '' for a file that was just removed.
    names.map(async (name) => decode(await readFile(join(directory, name), 'utf8').catch(() => ''))),
  );
  return entries.filter((entry) => entry !== undefined).filter((entry) => entry.containerId === containerId);
}

/**
 * Reads the attachments of one network from disk, including those of other programs.
 * @throws when an entry cannot be read, for instance because it is half written.
 */
export async function readNetwork(cacheDir: string, networkName: string): Promise<CachedAttachment[]> {
  const directory = join(cacheDir, 'results');
  const found: CachedAttachment[] = [];
  for (const name of await listDirectory(directory)) {
    if (!name.startsWith(`${networkName}-`)) continue;
    const json = await readFile(join(directory, name), 'utf8').catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (json === undefined) continue;
    const entry = decode(json);
    if (entry === undefined) throw unavailable(`${join(directory, name)} is not an entry of a CNI cache`);
    if (entry.networkName === networkName) found.push(entry);
  }
  return found;
}

function fileName({ networkName, containerId, ifName }: Attachment): string {
  return `${networkName}-${containerId}-${ifName}`;
}

function encode(entry: CachedAttachment): string {
  const { containerId, config, ifName, networkName, netns, cniArgs, capabilityArgs, result } = entry;
  return JSON.stringify({
    kind: KIND,
    containerId,
    config: Buffer.from(config).toString('base64'),
    ifName,
    networkName,
    netns,
    cniArgs,
    ...(Object.keys(capabilityArgs).length === 0 ? {} : { capabilityArgs }),
    ...(result === undefined ? {} : { result }),
  });
}

/** Reads the result in a file without a `kind`. Library versions before 0.8 wrote such files. */
function bareResult(json: string): CniResult | undefined {
  const body = parseObject(json);
  return body !== undefined && body.kind === undefined ? body : undefined;
}

/** @returns undefined for text that is not an attachment. */
function decode(json: string): CachedAttachment | undefined {
  const body = parseObject(json);
  if (body?.kind !== KIND) return undefined;
  // Go ignores the case of field names, so both spellings of this field occur.
  const containerId = text(body.containerId ?? body.containerID);
  if (containerId === '') return undefined;
  return {
    containerId,
    networkName: text(body.networkName),
    ifName: text(body.ifName),
    netns: text(body.netns),
    config: Buffer.from(text(body.config), 'base64').toString('utf8'),
    cniArgs: toArgs(body.cniArgs),
    capabilityArgs: toObject(body.capabilityArgs),
    result: isObject(body.result) ? body.result : undefined,
  };
}

function toObject(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function toArgs(value: unknown): [string, string][] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((pair: unknown): [string, string][] =>
    Array.isArray(pair) && pair.length === 2 ? [[text(pair[0]), text(pair[1])]] : [],
  );
}
