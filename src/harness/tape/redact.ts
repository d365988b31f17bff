import { createHmac } from 'node:crypto';
import type { Json, JsonOptions, Place, Scalar } from '../../proto/fields';

/** The kinds of values that a tape hides without `--unsafe-full`. The head of the tape lists these words. */
export const REDACTED = ['auth', 'env', 'exec', 'info', 'url', 'annotations', 'metadata', 'unknown'] as const;

/** How many bytes of a command's output the tape contains, which is enough for the output of most probes. */
const SHOWN_EXEC_BYTES = 256;
/** 64 bits, so that two different values of one tape practically never have the same hash. */
const HASH_CHARACTERS = 16;
/** The annotation in which kubectl stores a copy of the pod, including the values of environment variables. */
const COPIES = 'last-applied-configuration';

export type Hide = (value: Scalar) => string;

/**
 * Returns a function that replaces a value by a keyed hash. Equal values of one tape have equal hashes. The key is not stored, so nobody
 * can use the hashes to test guesses of a password.
 */
export function hider(key: Buffer): Hide {
  return (value) => {
    const bytes = Buffer.isBuffer(value) ? value : String(value);
    const hash = createHmac('sha256', key).update(bytes).digest('hex');
    return `hidden:${hash.slice(0, HASH_CHARACTERS)}`;
  };
}

/** Returns the options of `toJson` that hide the fields which CRI's descriptors mark as secret, and the other kinds in REDACTED. */
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
  // KeyValue is used only for environment variables.
  if (message === 'KeyValue' && name === 'value') return hide(value);
  // Verbose information contains the whole configuration, including environment variables.
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
 * Hides a URL except for its host and port, because the URL of an exec, attach or port-forward session gives access to the container. A
 * user name and a password before the host are hidden too.
 */
function hiddenUrl(url: string, hide: Hide): string {
  const host = URL.canParse(url) ? new URL(url).host : '';
  return host === '' ? hide(url) : `${host}/${hide(url)}`;
}
