import { createHmac } from 'node:crypto';
import type { Json, JsonOptions, Place, Scalar } from '../../proto/fields';

/** What a tape does not hold unless it was asked for everything. The header of the tape lists these words. */
export const REDACTED = ['auth', 'env', 'exec', 'info', 'url', 'annotations', 'metadata', 'unknown'] as const;

/** How many bytes of a command's output the tape keeps: enough for what a probe says. */
const SHOWN_EXEC_BYTES = 256;
/** 64 bits, so that no two values of one tape get the same hash by chance. */
const HASH_CHARACTERS = 16;
/** kubectl's copy of an object, with all values of its environment. */
const COPIES = 'last-applied-configuration';

export type Hide = (value: Scalar) => string;

/**
 * Hashes with a key that is forgotten with the process: equal values of one tape have equal hashes, and nobody can try
 * passwords against them.
 */
export function hider(key: Buffer): Hide {
  return (value) => {
    const bytes = Buffer.isBuffer(value) ? value : String(value);
    const hash = createHmac('sha256', key).update(bytes).digest('hex');
    return `hidden:${hash.slice(0, HASH_CHARACTERS)}`;
  };
}

/** How messages are turned into JSON without the fields that CRI's descriptors mark as secret. */
export function redaction(hide: Hide): JsonOptions {
  return {
    rewrite: (value, place) => redacted(value, place, hide),
    unknown: (bytes) => hide(bytes),
  };
}

function redacted(
  value: Scalar,
  { message, field: [, name, , , secret], key }: Place,
  hide: Hide,
): Json | undefined {
  if (secret === true || message === 'AuthConfig') return hide(value);
  // The only message with key and value is an environment variable.
  if (message === 'KeyValue' && name === 'value') return hide(value);
  // Verbose information holds the whole configuration, environment and all.
  if (name === 'info' && key !== undefined) return hide(value);
  if (name === 'annotations' && key?.includes(COPIES) === true) return hide(value);
  if (message === 'ExecSyncResponse' && Buffer.isBuffer(value)) return cutOutput(value, hide);
  if (name === 'url' && typeof value === 'string') return hiddenUrl(value, hide);
  return undefined;
}

function cutOutput(output: Buffer, hide: Hide): Json | undefined {
  if (output.length <= SHOWN_EXEC_BYTES) return undefined;
  const head = output.subarray(0, SHOWN_EXEC_BYTES).toString('base64');
  return { head, bytes: output.length, hash: hide(output) };
}

/**
 * The URL of an exec, attach or port-forward session gives access to the container. Its host and port do not, but a name and
 * password before them may.
 */
function hiddenUrl(url: string, hide: Hide): string {
  const host = URL.canParse(url) ? new URL(url).host : '';
  return host === '' ? hide(url) : `${host}/${hide(url)}`;
}
