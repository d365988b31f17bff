import { isObject, parseObject, text, type JsonObject } from '../../lib/json';
import type { CredentialFacts } from '../facts';
import type { NodeRoot } from './node-root';

/** Where docker and kubelet look for registry credentials on a node. */
const USUAL = [
  '/root/.docker/config.json',
  '/var/lib/kubelet/config.json',
  '/var/lib/kubelet/.dockercfg',
  '/.docker/config.json',
  '/root/.dockercfg',
];

/**
 * Reads which registries have credentials on the node. The credentials themselves are dropped immediately.
 * @param more files that options of other programs name.
 */
export async function readCredentials(
  node: NodeRoot,
  more: readonly string[] = [],
): Promise<Record<string, CredentialFacts>> {
  const found: Record<string, CredentialFacts> = {};
  for (const path of new Set([...USUAL, ...more])) {
    const content = await node.text(path);
    if (content !== undefined) found[path] = credentialFacts(content);
  }
  return found;
}

/** @param content of a config.json, or of an old .dockercfg, which has only the entries of `auths`. */
export function credentialFacts(content: string): CredentialFacts {
  const config = parseObject(content);
  // The message of a failed JSON.parse quotes the file, so it is not used.
  if (config === undefined) return { registries: [], helpers: {}, problem: 'is not a JSON object' };
  const { auths, credHelpers, credsStore } = config;
  const isOld =
    auths === undefined && Object.values(config).some((entry) => isObject(entry) && 'auth' in entry);
  const helpers = isObject(credHelpers) ? credHelpers : {};
  return {
    registries: Object.keys(isOld ? config : withContent(auths)).sort(),
    helpers: {
      ...(text(credsStore) === '' ? {} : { '': text(credsStore) }),
      ...Object.fromEntries(Object.entries(helpers).map(([host, helper]) => [host, text(helper)])),
    },
    problem: '',
  };
}

/** Returns the entries that are not empty. With a credsStore, docker leaves empty entries in `auths`. */
function withContent(auths: unknown): JsonObject {
  if (!isObject(auths)) return {};
  return Object.fromEntries(
    Object.entries(auths).filter(([, entry]) => isObject(entry) && Object.keys(entry).length > 0),
  );
}
