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

/** dockbridge's own label. It contains, as JSON, what names and the shared labels cannot hold (ADR 0003). */
export const EXTRA_LABEL = 'io.dockbridge.cri';

const RESERVED: ReadonlySet<string> = new Set([TYPE_LABEL, SANDBOX_ID_LABEL, LOG_PATH_LABEL, EXTRA_LABEL]);

/** The part of the JSON under EXTRA_LABEL that restores labels and annotations exactly as they were given. */
export interface LabelKeys {
  /** Keys of the requested CRI labels. They are recorded because the Engine adds the image's own labels. */
  readonly labelKeys: readonly string[];
  readonly annotationKeys: readonly string[];
  /** CRI labels whose keys have another meaning as Engine labels. */
  readonly shadowed: StringMap;
}

export interface EncodedLabels {
  readonly labels: Record<string, string>;
  readonly keys: LabelKeys;
}

/**
 * Converts CRI labels and annotations to Engine labels. `own` are the shared labels of this container, which override
 * others.
 */
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

/** Returns the Engine labels of a sandbox: the type, and the container name that cri-dockerd sets and hides. */
export function sandboxOwnLabels(): Record<string, string> {
  return { [TYPE_LABEL]: SANDBOX_TYPE, [CONTAINER_NAME_LABEL]: SANDBOX_FIELD_NAME };
}

const SANDBOX_FIELD_NAME = 'POD';

export interface DecodedLabels {
  readonly labels: StringMap;
  readonly annotations: StringMap;
}

/**
 * Converts Engine labels to CRI labels and annotations.
 * @param keys the recorded keys. Undefined for containers of cri-dockerd, where all labels that are not reserved count.
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
 * Reads the JSON under EXTRA_LABEL. Returns undefined when the label is absent (as in cri-dockerd's containers) or does
 * not have the expected shape. Everyone with access to the Engine can set labels, and an unusual container must not stop
 * a resync.
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

/** Reads the contents from dockbridge's label; undefined if there are none or they cannot be read. */
export function readContents(contents: unknown): StringMap | undefined {
  return hasShapeOf(contents, {}) ? (contents as StringMap) : undefined;
}
