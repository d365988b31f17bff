import type { EngineAuth } from '../engine/types';
import { decodeBasic } from './auth';
import type { RegistryPath } from '../translate/image/reference';

/** One entry of `auths` in docker's config.json. */
interface AuthEntry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

/** The parts of docker's config.json that hold credentials. */
export interface DockerConfig {
  readonly auths: Readonly<Record<string, AuthEntry>>;
  /** Registry → name of a helper program `docker-credential-NAME`. */
  readonly credHelpers: Readonly<Record<string, string>>;
  /** The helper of all other registries, '' for none. */
  readonly credsStore: string;
}

/** Where credentials of a registry are: here, or with a helper that is asked for `server`. */
export type CredentialSource =
  { readonly auth: EngineAuth } | { readonly helper: string; readonly server: string };

const HUB_NAMES = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
/** The key under which docker keeps the credentials of Docker Hub. */
const HUB_SERVER = 'https://index.docker.io/v1/';

/** @throws Error saying what is wrong, without the file's secrets. */
export function parseDockerConfig(text: string): DockerConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // JSON.parse would quote the text.
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
 * The source for an image: the registry's own helper, then the most exact key of `auths` (a host, perhaps with `*` for
 * parts of its name, perhaps with the beginning of a path, as kubelet reads them), then `credsStore`.
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

/** Parses what a helper prints for `get`. @throws Error without the secret. */
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

/** `registry.example:5000` of a key or address such as `https://registry.example:5000/v2/`; Hub's names are one. */
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
  // A longer path is more exact, then a host without wildcards.
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

/** `team/app/` of a key; API versions, which docker writes there, do not count. */
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
