import { isIP } from 'node:net';
import { invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';

/** The kernel's limit. */
const MAX_NAME = 64;
/** Limit for a part of a name (RFC 1123). */
const MAX_LABEL = 63;

/**
 * Checks a host name ('' for none): the Engine accepts names that neither the kernel nor a resolver does.
 * @throws INVALID_ARGUMENT
 */
export function hostName(name: string, field: string): string {
  const shown = JSON.stringify(name.slice(0, 100));
  if (name.length > MAX_NAME)
    throw invalidArgument(field, `${shown} has ${name.length} characters, at most ${MAX_NAME} are allowed`);
  for (const label of name === '' ? [] : name.split('.')) {
    if (!/^[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$/.test(label)) {
      throw invalidArgument(
        field,
        `${shown} is not a host name: use letters, digits, "-" and ".", and begin and end each part with a letter or digit`,
      );
    }
    if (label.length > MAX_LABEL)
      throw invalidArgument(field, `a part of ${shown} has more than ${MAX_LABEL} characters`);
  }
  return name;
}

/**
 * Checks what is written to a resolv.conf, where a blank or a new line would begin another word or line.
 * @throws INVALID_ARGUMENT
 */
export function checkDns({ servers, searches, options }: Decoded<cri.IDNSConfig>, field: string): void {
  servers.forEach((server, index) => {
    // A link-local address may have an interface after it.
    if (isIP(server.replace(/%[\w.-]+$/, '')) === 0)
      throw invalidArgument(
        `${field}.servers[${index}]`,
        `${JSON.stringify(server.slice(0, 100))} is not an IP address`,
      );
  });
  searches.forEach((domain, index) => oneWord(domain, `${field}.searches[${index}]`, 'domain'));
  options.forEach((option, index) => oneWord(option, `${field}.options[${index}]`, 'option'));
}

function oneWord(word: string, field: string, kind: string): void {
  if (!/^[^\s\p{Cc}]+$/u.test(word))
    throw invalidArgument(field, `${JSON.stringify(word.slice(0, 100))} is not a valid ${kind}`);
}
