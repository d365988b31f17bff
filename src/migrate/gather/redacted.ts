import { createHash } from 'node:crypto';
import { REMOVED, redactJson, redactText } from '../../doctor/bundle/redact';
import { parseObject } from '../../lib/json';
import type { FileFacts } from '../facts';

const KEY_BEGINS = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;
const KEY_ENDS = /-----END [A-Z ]*PRIVATE KEY-----/;
/** Files whose values stand in quotes. */
const QUOTES_VALUES = /\.(json|conflist|toml)$|\/crio\//;

/**
 * Returns the facts about a file with this text. Each line is redacted by itself, so that line numbers and the structure of the
 * file remain.
 */
export function fileFacts(path: string, text: string): FileFacts {
  const redacted = redactFile(path, text);
  return {
    text: redacted,
    sha256: createHash('sha256').update(text).digest('hex'),
    isRedacted: redacted !== text,
  };
}

function redactFile(path: string, text: string): string {
  if (!QUOTES_VALUES.test(path)) return redactLines(text);
  const original = text.split('\n');
  const quoted = redactLines(text)
    .split('\n')
    .map((line, at) =>
      /[:=]\s*["']/.test(original[at] ?? '') ? line.replace(/([:=]\s*)\[removed\]/g, `$1"${REMOVED}"`) : line,
    )
    .join('\n');
  const value = parseObject(text);
  // Valid JSON matters more than line numbers, because the inventory parses this text.
  if (value !== undefined && parseObject(quoted) === undefined)
    return JSON.stringify(redactJson(value), null, 2);
  return quoted;
}

/** Replaces what looks like a secret, line by line. */
export function redactLines(text: string): string {
  let isInKey = false;
  return text
    .split('\n')
    .map((line) => {
      const begins = KEY_BEGINS.test(line);
      const isPart = isInKey || begins;
      isInKey = isPart && !KEY_ENDS.test(line);
      return isPart ? REMOVED : redactText(line);
    })
    .join('\n');
}
