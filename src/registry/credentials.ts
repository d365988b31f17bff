import { valueNow, type Changing } from '../lib/changing';
import { errnoOf, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { SmallFile } from '../node/disk/files';
import { credentialSource, parseDockerConfig } from './docker-config';
import type { EngineAuth } from '../engine/types';
import { registryOf, type ImageReference, type RegistryPath } from '../translate/image/reference';
import { askCredentialHelper } from './credential-helper';

/** Fits hundreds of registries, and bounds memory. */
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Credentials of the node, from docker's config files (`--registry-config`), for pulls whose request has none, such as that of
 * the sandbox image. The files are read for each pull, so that rotated credentials are used at once.
 */
export class RegistryCredentials {
  private readonly files = new Map<string, SmallFile>();

  constructor(
    private readonly paths: Changing<readonly string[]>,
    private readonly logger: Logger,
  ) {}

  /** Returns the credentials of the first file that knows the registry. A failure is only logged: most images need none. */
  async find(reference: ImageReference, signal: AbortSignal): Promise<EngineAuth | undefined> {
    for (const file of valueNow(this.paths).map((path) => this.fileAt(path))) {
      try {
        const auth = await lookUp(file, registryOf(reference), signal);
        if (auth !== undefined) return auth;
      } catch (error) {
        signal.throwIfAborted();
        this.logger.warn('Cannot read registry credentials', { path: file.path, error: messageOf(error) });
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

/** @returns undefined if there is no file, as before the first login. */
async function readIfPresent(file: SmallFile, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await file.text(signal);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
