import { execFile } from 'node:child_process';
import type { EngineAuth } from '../engine/types';
import { abortable } from '../lib/async/abortable';
import { withDeadline } from '../lib/async/deadline';
import { type Changing, valueNow } from '../lib/changing';
import { errnoOf, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { SmallFile } from '../node/disk/files';
import { type ImageReference, registryOf, type RegistryPath } from '../translate/image/reference';
import { decodeBasic } from './auth';

/** The maximum size of a file in bytes, which bounds memory. Credentials of hundreds of registries fit into it. */
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Credentials of the node, from docker's config files (`--registry-config`). They are for pulls whose request has no
 * credentials, such as the pull of the sandbox image. The files are read for each pull, so that rotated credentials are used
 * immediately.
 */
export class RegistryCredentials {
  private readonly files = new Map<string, SmallFile>();

  constructor(
    private readonly paths: Changing<readonly string[]>,
    private readonly logger: Logger,
  ) {}

  /**
   * Returns the credentials from the first file that has any for the registry. A failure is only logged, because most images
   * need no credentials.
   */
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

  /** Returns the same object for a path each time, so that all its readers wait for one read if the read hangs. */
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

/** @returns undefined if the file does not exist, as before the first login. */
async function readIfPresent(file: SmallFile, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await file.text(signal);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Time limit of a helper in ms. A helper may call a cloud provider's API. */
const LIMIT_MS = 15_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** The allowed names of helpers. They are restricted because the name becomes part of a program's name. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Asks `docker-credential-NAME get` for the credentials of `server`. As with docker, there is no shell, and the server is
 * written to standard input.
 * @throws Error, whose message contains no secrets, because it never contains the helper's output.
 */
export async function askCredentialHelper(
  name: string,
  server: string,
  signal: AbortSignal,
): Promise<EngineAuth> {
  if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is not the name of a credential helper`);
  const program = `docker-credential-${name}`;
  const answer = await withDeadline(program, LIMIT_MS, signal, (limit) =>
    abortable(run(program, server, limit), limit),
  );
  return parseHelperAnswer(answer);
}

function run(program: string, input: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const { env } = process;
    const options = { signal, killSignal: 'SIGKILL', maxBuffer: MAX_ANSWER_BYTES, cwd: '/', env } as const;
    const child = execFile(program, ['get'], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      // execFile's own message is not used, because it contains the helper's output.
      else reject(new Error(`${program} failed (${error.code ?? error.signal ?? 'unknown'})`));
    });
    // The pipe breaks if the helper ends without reading its input.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** One entry of `auths` in docker's config.json. */
interface AuthEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

/** The parts of docker's config.json that concern credentials. */
export interface DockerConfig {
  readonly auths: Readonly<Record<string, AuthEntry>>;
  /** The helper program `docker-credential-NAME` of each registry, by its NAME. */
  readonly credHelpers: Readonly<Record<string, string>>;
  /** The helper of all other registries; '' if there is none. */
  readonly credsStore: string;
}

/** The place of a registry's credentials: either the credentials themselves, or a helper that must be asked for `server`. */
export type CredentialSource =
  { readonly auth: EngineAuth } | { readonly helper: string; readonly server: string };

const HUB_NAMES = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
/** The key under which docker keeps the credentials of Docker Hub. */
const HUB_SERVER = 'https://index.docker.io/v1/';

/**
 * Parses docker's config.json.
 * @throws Error whose message says what is wrong, without the file's secrets.
 */
export function parseDockerConfig(text: string): DockerConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // JSON.parse's own message is not used, because it would quote the text.
    throw new Error('it is not JSON');
  }
  const { auths, credHelpers, credsStore } = asObject(value, 'it');
  const helpers = Object.entries(asObject(credHelpers ?? {}, 'credHelpers'));
  const entries = Object.entries(asObject(auths ?? {}, 'auths'));
  return {
    auths: Object.fromEntries(entries.map(([key, entry]) => [key, asEntry(entry, key)])),
    credHelpers: Object.fromEntries(helpers.map(([key, name]) => [key, asText(name, `credHelpers ${key}`)])),
    credsStore: asText(credsStore ?? '', 'credsStore'),
  };
}

/**
 * Finds the place of the credentials for an image: first the registry's own helper, then the most exact key of `auths`, then
 * `credsStore`. A key is a host, as in kubelet: it may have `*` for parts of the host's name, and may end with the beginning of
 * a path.
 */
export function credentialSource(config: DockerConfig, image: RegistryPath): CredentialSource | undefined {
  const server = image.host === 'docker.io' ? HUB_SERVER : image.host;
  const helper = bestMatch(config.credHelpers, image);
  if (helper !== undefined) return { helper, server };
  const entry = bestMatch(config.auths, image);
  const auth = entry && toAuth(entry);
  if (auth !== undefined) return { auth };
  return config.credsStore === '' ? undefined : { helper: config.credsStore, server };
}

/**
 * Parses a helper's output for `get`.
 * @throws Error, whose message does not contain the secret.
 */
export function parseHelperAnswer(text: string): EngineAuth {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('its answer is not JSON');
  }
  const { Username: username, Secret: secret } = asObject(value, 'its answer');
  if (typeof username !== 'string' || typeof secret !== 'string')
    throw new Error('its answer has no Username and Secret');
  return username === '<token>' ? { identitytoken: secret } : { username, password: secret };
}

/**
 * Returns the registry in a key or address: `registry.example:5000` for `https://registry.example:5000/v2/`. The different
 * names of Docker Hub count as one.
 */
export function registryHost(address: string): string {
  const host =
    address
      .replace(/^https?:\/\//, '')
      .split('/', 1)[0]
      ?.toLowerCase() ?? '';
  return HUB_NAMES.has(host) ? 'docker.io' : host;
}

function bestMatch<T>(entries: Readonly<Record<string, T>>, image: RegistryPath): T | undefined {
  const matching = Object.keys(entries).filter((key) => matches(key, image));
  // A longer path is more exact. For equal paths, a host without wildcards is more exact.
  const rank = (key: string): number => keyPath(key).length * 2 + (key.includes('*') ? 0 : 1);
  const [best] = matching.sort((one, other) => rank(other) - rank(one));
  return best === undefined ? undefined : entries[best];
}

function matches(key: string, { host, path }: RegistryPath): boolean {
  const wanted = registryHost(key)
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^.:]*');
  return new RegExp(`^${wanted}$`).test(host.toLowerCase()) && `${path}/`.startsWith(keyPath(key));
}

/** Returns the path in a key, such as `team/app/`. Omits API versions, which docker writes there. */
function keyPath(key: string): string {
  const path = key
    .replace(/^https?:\/\//, '')
    .split('/')
    .slice(1)
    .filter((part) => part !== '')
    .join('/');
  return path === '' || path === 'v1' || path === 'v2' ? '' : `${path}/`;
}

function toAuth({ auth = '', ...entry }: AuthEntry): EngineAuth | undefined {
  const engineAuth: EngineAuth = { ...(auth === '' ? {} : decodeBasic(auth)), ...entry };
  return Object.keys(engineAuth).length === 0 ? undefined : engineAuth;
}

function asEntry(value: unknown, key: string): AuthEntry {
  const names = ['auth', 'username', 'password', 'identitytoken', 'registrytoken'];
  const known = Object.entries(asObject(value, `auths ${key}`)).filter(
    ([name, text]) => names.includes(name) && text !== '',
  );
  return Object.fromEntries(known.map(([name, text]) => [name, asText(text, `auths ${key} ${name}`)]));
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${what} is not an object`);
  return value as Record<string, unknown>;
}

function asText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new Error(`${what} is not text`);
  return value;
}
