import type { StringMap } from '../../store/records';
import { hasShapeOf } from '../../lib/json';

/** Engine labels shared with cri-dockerd. */
export const TYPE_LABEL = 'io.kubernetes.docker.type';
export const SANDBOX_TYPE = 'podsandbox';
export const CONTAINER_TYPE = 'container';
export const SANDBOX_ID_LABEL = 'io.kubernetes.sandbox.id';
export const LOG_PATH_LABEL = 'io.kubernetes.container.logpath';
const CONTAINER_NAME_LABEL = 'io.kubernetes.container.name';
const ANNOTATION_PREFIX = 'annotation.';

/** Our own label: JSON of what names and the shared labels cannot hold (ADR 0003). */
export const EXTRA_LABEL = 'io.dockbridge.cri';

const RESERVED: ReadonlySet<string> = new Set([TYPE_LABEL, SANDBOX_ID_LABEL, LOG_PATH_LABEL, EXTRA_LABEL]);

/** Part of the JSON under EXTRA_LABEL that makes labels and annotations come back exactly as given. */
export interface LabelKeys {
  /** Keys given as CRI labels: the Engine mixes the image's own labels in. */
  readonly labelKeys: readonly string[];
  readonly annotationKeys: readonly string[];
  /** CRI labels whose keys have another meaning as Engine labels, by key. */
  readonly shadowed: StringMap;
}

export interface EncodedLabels {
  readonly labels: Record<string, string>;
  readonly keys: LabelKeys;
}

/** CRI labels and annotations → Engine labels. `own` are the shared labels of this container, and win. */
export function encodeLabels(own: StringMap, labels: StringMap, annotations: StringMap): EncodedLabels {
  const encoded: Record<string, string> = {};
  const shadowed: Record<string, string> = {};
  for (const [key, value] of Object.entries(labels)) {
    if (RESERVED.has(key) || key in own || key.startsWith(ANNOTATION_PREFIX)) shadowed[key] = value;
    else encoded[key] = value;
  }
  for (const [key, value] of Object.entries(annotations)) encoded[ANNOTATION_PREFIX + key] = value;
  return {
    labels: { ...encoded, ...own },
    keys: {
      labelKeys: Object.keys(labels).filter((key) => !(key in shadowed)),
      annotationKeys: Object.keys(annotations),
      shadowed,
    },
  };
}

/** Engine labels of a sandbox: the type, and the container name that cri-dockerd gives and hides. */
export function sandboxOwnLabels(): Record<string, string> {
  return { [TYPE_LABEL]: SANDBOX_TYPE, [CONTAINER_NAME_LABEL]: SANDBOX_FIELD_NAME };
}

const SANDBOX_FIELD_NAME = 'POD';

export interface DecodedLabels {
  readonly labels: StringMap;
  readonly annotations: StringMap;
}

/**
 * Engine labels → CRI labels and annotations.
 * @param keys of our own containers; undefined for cri-dockerd's: then everything not reserved counts.
 */
export function decodeLabels(engineLabels: StringMap, keys: LabelKeys | undefined): DecodedLabels {
  if (keys !== undefined) return decodeKnown(engineLabels, keys);
  const labels: Record<string, string> = {};
  const annotations: Record<string, string> = {};
  const isSandbox = engineLabels[TYPE_LABEL] === SANDBOX_TYPE;
  for (const [key, value] of Object.entries(engineLabels)) {
    if (RESERVED.has(key) || (isSandbox && key === CONTAINER_NAME_LABEL)) continue;
    if (key.startsWith(ANNOTATION_PREFIX)) annotations[key.slice(ANNOTATION_PREFIX.length)] = value;
    else labels[key] = value;
  }
  return { labels, annotations };
}

function decodeKnown(engineLabels: StringMap, keys: LabelKeys): DecodedLabels {
  const pick = (names: readonly string[], prefix: string): Record<string, string> =>
    Object.fromEntries(names.map((name) => [name, engineLabels[prefix + name] ?? '']));
  return {
    labels: { ...pick(keys.labelKeys, ''), ...keys.shadowed },
    annotations: pick(keys.annotationKeys, ANNOTATION_PREFIX),
  };
}

/**
 * The JSON under EXTRA_LABEL; undefined when absent (cri-dockerd's container) or not ours to read: anybody with access
 * to the Engine can set labels, and one odd container must not stop a resync.
 * @param example see hasShapeOf.
 */
export function readExtra<T extends object>(engineLabels: StringMap, example: T): T | undefined {
  const text = engineLabels[EXTRA_LABEL];
  if (text === undefined) return undefined;
  try {
    const extra: unknown = JSON.parse(text);
    return hasShapeOf(extra, { v: 1, ...example }) && (extra as { v: unknown }).v === 1
      ? (extra as T)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Reads the contents from our label; undefined if there are none or they cannot be read. */
export function readContents(contents: unknown): StringMap | undefined {
  return hasShapeOf(contents, {}) ? (contents as StringMap) : undefined;
}
