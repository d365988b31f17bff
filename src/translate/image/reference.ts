import { invalidArgument } from '../../lib/errors';

/**
 * Image references by the distribution grammar: `[domain/]path[:tag][@digest]`. The Engine lists images under their
 * familiar names (Docker Hub's domain and `library/` left out), so that is the form we look up.
 */
export interface ImageReference {
  /** Familiar repository: `busybox`, `registry.k8s.io/pause`. */
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

/** @throws INVALID_ARGUMENT naming `field`. */
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

/** The Engine's name for it: with `:latest` if it has neither tag nor digest; a digest wins over a tag. */
export function familiarName(reference: ImageReference): string {
  if (reference.digest !== undefined) return `${reference.repository}@${reference.digest}`;
  return `${reference.repository}:${reference.tag ?? 'latest'}`;
}

export interface RegistryPath {
  /** With the port, `docker.io` for Docker Hub. */
  readonly host: string;
  /** Within the registry: `library/busybox`. */
  readonly path: string;
}

/** The registry of a reference, and the path in it. */
export function registryOf({ repository }: ImageReference): RegistryPath {
  const [first = '', ...rest] = repository.split('/');
  if (rest.length > 0 && isDomain(first)) return { host: first, path: rest.join('/') };
  return { host: 'docker.io', path: rest.length === 0 ? `library/${first}` : repository };
}

/** Full image id, or undefined. */
export function asImageId(text: string): string | undefined {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return text;
  return /^[0-9a-f]{64}$/.test(text) ? `sha256:${text}` : undefined;
}

/** Whether `text` could be the beginning of an image id, as crictl shows it. */
export function looksLikeIdPrefix(text: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{4,64}$/.test(text);
}

/** A first component is a domain only with a dot, a port, or when it is localhost (or has capitals). */
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
