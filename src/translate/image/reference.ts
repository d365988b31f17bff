import { invalidArgument } from '../../lib/errors';

/**
 * An image reference by the distribution grammar: `[domain/]path[:tag][@digest]`. The Engine lists images under their
 * familiar names, without Docker Hub's domain and `library/`, so look-ups use this form.
 */
export interface ImageReference {
  /** The familiar repository, such as `busybox` or `registry.k8s.io/pause`. */
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const REFERENCE = new RegExp(
  `^(?:(${DOMAIN})/)?(${COMPONENT}(?:/${COMPONENT})*)(?::(${TAG}))?(?:@(${DIGEST}))?$`,
);
const MAX_NAME = 255;

/**
 * Parses an image reference.
 * @throws INVALID_ARGUMENT with the name of `field`.
 */
export function parseReference(text: string, field: string): ImageReference {
  const reference = tryParseReference(text);
  if (reference === undefined) {
    const shown = JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
    throw invalidArgument(field, `${shown} is not an image reference like registry.example/app:1.0`);
  }
  return reference;
}

/** @returns undefined if the text is not a reference. */
export function tryParseReference(text: string): ImageReference | undefined {
  const match = text.length > MAX_NAME + 256 ? null : REFERENCE.exec(text);
  if (match === null) return undefined;
  const [, domain, path = '', tag, digest] = match;
  const repository = familiar(domain, path);
  if (repository === undefined || repository.length > MAX_NAME) return undefined;
  return { repository, tag, digest };
}

/**
 * Returns the Engine's name for a reference. It ends with `:latest` if the reference has neither tag nor digest. If it
 * has both, the digest counts.
 */
export function familiarName(reference: ImageReference): string {
  if (reference.digest !== undefined) return `${reference.repository}@${reference.digest}`;
  return `${reference.repository}:${reference.tag ?? 'latest'}`;
}

export interface RegistryPath {
  /** The registry's host with its port; `docker.io` for Docker Hub. */
  readonly host: string;
  /** The path within the registry, such as `library/busybox`. */
  readonly path: string;
}

/** Returns the registry of a reference and the path in the registry. */
export function registryOf({ repository }: ImageReference): RegistryPath {
  const [first = '', ...rest] = repository.split('/');
  if (rest.length > 0 && isDomain(first)) return { host: first, path: rest.join('/') };
  return { host: 'docker.io', path: rest.length === 0 ? `library/${first}` : repository };
}

/** Returns the full image id with `sha256:`, or undefined when the text is not a full id. */
export function asImageId(text: string): string | undefined {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return text;
  return /^[0-9a-f]{64}$/.test(text) ? `sha256:${text}` : undefined;
}

/** Whether `text` may be the beginning of an image id, as crictl shows it. */
export function looksLikeIdPrefix(text: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{4,64}$/.test(text);
}

/** Whether the first component is a domain: it contains a dot or a port, is localhost, or contains capitals. */
function isDomain(component: string): boolean {
  return /[.:[]/.test(component) || component === 'localhost' || component !== component.toLowerCase();
}

function familiar(domain: string | undefined, path: string): string | undefined {
  if (domain === undefined) return path.replace(/^library\/(?=[^/]+$)/, '');
  if (!isDomain(domain)) {
    const full = `${domain}/${path}`;
    return full.startsWith('library/') && !path.includes('/') ? path : full;
  }
  if (domain !== 'docker.io' && domain !== 'index.docker.io') return `${domain}/${path}`;
  return path.replace(/^library\/(?=[^/]+$)/, '');
}
