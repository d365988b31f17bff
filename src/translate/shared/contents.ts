import { createHash } from 'node:crypto';
import Long from 'long';
import type { cri, Decoded } from '../../proto';
import type { StringMap } from '../../store/records';

/**
 * The request for a pod or container, as a short digest of each field that was set. The keys are the paths of the fields.
 */
export type Contents = StringMap;

/** Number of hexadecimal digits: enough to distinguish two requests, and too few to reveal their contents. */
const DIGITS = 8;

/** Fields that name the object or have no effect on it (`informs` in tools/docs/fields). */
const OF_NO_EFFECT = {
  container: new Set(['metadata', 'image_ref']),
  sandbox: new Set(['metadata', 'overhead', 'resources']),
} as const;

/**
 * Lists whose order has no meaning, with the field by which their elements are sorted ('' for the whole element). kubelet
 * fills some of them from Go maps, in a different order each time. Variables with the same name keep their order, because
 * the last one counts.
 */
const UNORDERED: Readonly<Record<string, string>> = {
  envs: 'key',
  mounts: 'container_path',
  devices: 'container_path',
  CDI_devices: 'name',
  port_mappings: '',
  supplemental_groups: '',
  add_capabilities: '',
  drop_capabilities: '',
  masked_paths: '',
  readonly_paths: '',
  hugepage_limits: 'page_size',
};

/**
 * Returns the contents of a CreateContainer request.
 * @param logPath the container's log path in the pod's log directory.
 */
export function contentsOfContainer(config: Decoded<cri.IContainerConfig>, logPath: string): Contents {
  return digests(
    [...fieldsOf(config, 'config'), ['config.log_path', 'log_path', logPath]],
    OF_NO_EFFECT.container,
  );
}

export function contentsOfSandbox(config: Decoded<cri.IPodSandboxConfig>, runtimeHandler: string): Contents {
  return digests(
    [...fieldsOf(config, 'config'), ['runtime_handler', 'runtime_handler', runtimeHandler]],
    OF_NO_EFFECT.sandbox,
  );
}

/** Returns the sorted paths of the fields in which two requests differ. */
export function differences(held: Contents, wanted: Contents): string[] {
  const fields = new Set([...Object.keys(held), ...Object.keys(wanted)]);
  return [...fields].filter((field) => held[field] !== wanted[field]).sort();
}

/** The path, name and value of a field. */
type NamedField = readonly [path: string, name: string, value: unknown];

/** Lists the fields of a message and of its `linux`, so that a refusal can name a field inside `linux`. */
function fieldsOf(message: object, path: string): NamedField[] {
  return Object.entries(message).flatMap(([name, value]: [string, unknown]): NamedField[] =>
    name === 'linux' && isObject(value)
      ? fieldsOf(value, `${path}.linux`)
      : [[`${path}.${name}`, name, value]],
  );
}

function digests(fields: readonly NamedField[], ignored: ReadonlySet<string>): Contents {
  // A later field with the same path replaces an earlier one.
  const byPath = new Map(fields.map((field) => [field[0], field]));
  return Object.fromEntries(
    [...byPath.values()]
      .filter(([, name, value]) => !ignored.has(name) && !isUnset(value))
      .map(([path, name, value]) => [path, digest(JSON.stringify(canonical(value, name, ignored)))]),
  );
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, DIGITS);
}

/**
 * Returns a form that is equal for requests with the same meaning: keys of messages and maps are sorted, and unset fields
 * are omitted.
 */
function canonical(value: unknown, name: string, ignored: ReadonlySet<string>): unknown {
  if (Long.isLong(value)) return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return ordered(value as readonly unknown[], name, ignored);
  if (!isObject(value)) return value;
  const isMap = Object.getPrototypeOf(value) === Object.prototype;
  return Object.entries(value)
    .filter(([key, part]) => isMap || !(ignored.has(key) || isUnset(part)))
    .map(([key, part]: [string, unknown]) => [key, canonical(part, key, ignored)])
    .sort(byText);
}

function ordered(list: readonly unknown[], name: string, ignored: ReadonlySet<string>): unknown[] {
  const elements = list.map((element) => ({ element, canonical: canonical(element, name, ignored) }));
  const key = UNORDERED[name];
  if (key !== undefined) {
    const rank = ({ element, canonical: whole }: (typeof elements)[number]): unknown =>
      key === '' ? whole : (element as Readonly<Record<string, unknown>>)[key];
    elements.sort((a, b) => byText(rank(a), rank(b)));
  }
  return elements.map(({ canonical: whole }) => whole);
}

function byText(a: unknown, b: unknown): number {
  const [first, second] = [JSON.stringify(a), JSON.stringify(b)];
  return first < second ? -1 : Number(first > second);
}

/** Whether proto3 cannot distinguish the value from a field that was not sent. It can distinguish an empty message. */
function isUnset(value: unknown): boolean {
  if (Long.isLong(value)) return value.isZero();
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  if (!isObject(value)) return [undefined, null, '', 0, false].includes(value as never);
  return Object.getPrototypeOf(value) === Object.prototype && Object.keys(value).length === 0;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
