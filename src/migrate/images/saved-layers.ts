import { createHash } from 'node:crypto';
import { parseObject, type JsonObject } from '../../lib/json';

const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** Returns the chain id of each layer, which stands for the layer and all layers below it (OCI image specification, ChainID). */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : sha256(`${below} ${diffId}`));
  }
  return chain;
}

/**
 * Finds the layer that an Engine before version 25 saves in a directory. The directory's name is the digest of the layer's old
 * configuration, of its chain id, and of the name of the directory of the layer below. The old configuration is in the file `json`,
 * which precedes the layer, so the name can be computed for each layer of the image and compared.
 * @param json the content of `NAME/json`.
 * @returns the index of the layer; undefined when no layer fits, for instance because the Engine writes JSON in another way.
 */
export function layerOfDirectory(name: string, json: string, diffIds: readonly string[]): number | undefined {
  const config = parseObject(json);
  if (config === undefined) return undefined;
  const chain = chainIds(diffIds);
  const at = chain.findIndex((id) =>
    [true, false].some((hasOs) => directoryName(config, id, hasOs) === name),
  );
  return at === -1 ? undefined : at;
}

/** @param hasOs whether the name depends on the field `os`. The Engine adds this field to some files after it has made the name. */
function directoryName(config: JsonObject, chainId: string, hasOs: boolean): string {
  const named: Record<string, unknown> = { ...config, layer_id: chainId };
  delete named.id;
  if (!hasOs) delete named.os;
  if (typeof config.parent === 'string') named.parent = `sha256:${config.parent}`;
  const fields = Object.keys(named)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${JSON.stringify(named[key])}`);
  return sha256(asGoWrites(`{${fields.join(',')}}`)).slice('sha256:'.length);
}

/** Go's encoder escapes these characters too. */
function asGoWrites(json: string): string {
  return json.replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** What an entry of the archive of `docker save` is. */
export type SavedEntry =
  | { readonly kind: 'blob'; readonly digest: string }
  /** The configuration of a layer in an old archive. */
  | { readonly kind: 'layer-config'; readonly directory: string }
  | { readonly kind: 'layer'; readonly directory: string }
  | { readonly kind: 'other' };

/** Returns what an entry is. Engine 25 and later save blobs under their digests. Older Engines save a directory for each layer. */
export function savedEntry(name: string): SavedEntry {
  const [, blob] = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name) ?? [];
  if (blob !== undefined) return { kind: 'blob', digest: `sha256:${blob}` };
  const [, config] = /^([0-9a-f]{64})\.json$/.exec(name) ?? [];
  if (config !== undefined) return { kind: 'blob', digest: `sha256:${config}` };
  const [, directory, file] = /^([0-9a-f]{64})\/(json|layer\.tar)$/.exec(name) ?? [];
  if (directory === undefined) return { kind: 'other' };
  return { kind: file === 'json' ? 'layer-config' : 'layer', directory };
}
