import type { Json, JsonObject } from '../../proto/fields';
import type { Identities } from './identities';
import { listOf, objectOf } from '../json';

/** The fields by which list items are matched, for message types whose order in a list has no meaning. */
const KEY_FIELDS: Readonly<Record<string, readonly string[]>> = {
  Mount: ['container_path'],
  KeyValue: ['key'],
  Device: ['container_path'],
  CDIDevice: ['name'],
  PortMapping: ['protocol', 'container_port'],
  HugepageLimit: ['page_size'],
  RuntimeCondition: ['type'],
  RuntimeHandler: ['name'],
  NetworkInterfaceUsage: ['name'],
  MetricDescriptor: ['name'],
  Metric: ['name'],
  RestoredContainer: ['name'],
};
/** Message types that are identified by the pod, container or image that they are about. */
const ABOUT_SOMEBODY = new Set([
  ...['PodSandbox', 'PodSandboxStatus', 'PodSandboxStats', 'PodSandboxMetrics', 'Image'],
  ...['Container', 'ContainerStatus', 'ContainerStats', 'ContainerMetrics', 'WindowsContainerStats'],
]);

export interface Keyed {
  /** If false, the keys are the positions in the list. */
  readonly hasKeys: boolean;
  readonly items: ReadonlyMap<string, JsonObject>;
}

/** Returns the items of a list of messages, in order, by keys that are the same on both sides. */
export function keyed(type: string, list: Json | undefined, identities: Identities): Keyed {
  const items = new Map<string, JsonObject>();
  const hasKeys = Object.hasOwn(KEY_FIELDS, type) || ABOUT_SOMEBODY.has(type);
  for (const [at, value] of listOf(list).entries()) {
    const item = objectOf(value);
    const key = hasKeys ? keyOf(type, item, identities) : String(at);
    items.set(unused(key, items), item);
  }
  return { hasKeys, items };
}

function keyOf(type: string, item: JsonObject, identities: Identities): string {
  const fields = KEY_FIELDS[type];
  if (fields !== undefined)
    return fields
      .map((field) => item[field] ?? '')
      .filter((part, at) => part !== '' || at > 0)
      .map(String)
      .join('/');
  const { pod, container, image } = identities.ofItem(item) ?? {};
  return [pod, container, image].filter((part) => part !== undefined).join('/');
}

/** Returns a key that is not in use yet, because a list can contain two items of the same name, such as a variable that is given twice. */
function unused(key: string, items: ReadonlyMap<string, unknown>): string {
  let found = key;
  for (let more = 2; items.has(found); more++) found = `${key} (${more})`;
  return found;
}
