import { valueNow, type Changing } from '../lib/changing';
import { errnoOf, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { SmallFile } from '../node/disk/files';
import { credentialSource, parseDockerConfig } from './docker-config';
import type { EngineAuth } from '../engine/types';
import { registryOf, type ImageReference, type RegistryPath } from '../translate/image/reference';
import { askCredentialHelper } from './credential-helper';

/** Hundreds of registries fit; it is no way to fill our memory. */
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Credentials of the node: docker config files (`--registry-config`), read anew for each pull so that rotated ones
 * count at once. For pulls whose request brings none, as those of the sandbox image.
 */
export class RegistryCredentials {
  private readonly files = new Map<string, SmallFile>();

  constructor(
    private readonly paths: Changing<readonly string[]>,
    private readonly logger: Logger,
  ) {}

  /** From the first file that knows the registry. Trouble with one is logged: images that need no credentials go on. */
  async find(reference: ImageReference, signal: AbortSignal): Promise<EngineAuth | undefined> {
    for (const file of valueNow(this.paths).map((path) => this.fileAt(path))) {
      try {
        const auth = await lookUp(file, registryOf(reference), signal);
        if (auth !== undefined) return auth;
      } catch (error) {
        signal.throwIfAborted();
        this.logger.warn('Registry credentials cannot be read', { file: file.path, error: messageOf(error) });
      }
    }
    return undefined;
  }

  /** The same one each time: its readers share a read that hangs. */
  private fileAt(path: string): SmallFile {
    const file = this.files.get(path) ?? new SmallFile(path, MAX_FILE_BYTES);
    this.files.set(path, file);
    return file;
  }
}

async function lookUp(
  file: SmallFile,
  image: RegistryPath,
  signal: AbortSignal,
): Promise<EngineAuth | undefined> {
  const text = await readIfPresent(file, signal);
  const source = text === undefined ? undefined : credentialSource(parseDockerConfig(text), image);
  if (source === undefined) return undefined;
  return 'auth' in source ? source.auth : await askCredentialHelper(source.helper, source.server, signal);
}

/** @returns undefined when there is none, as on a node whose owner has not logged in yet. */
async function readIfPresent(file: SmallFile, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await file.text(signal);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
