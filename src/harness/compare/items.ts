import type { Json, JsonObject } from '../../proto/fields';
import type { Identities } from './identities';
import { listOf, objectOf } from '../json';

/** What an item of a list is known by, where its order or number says nothing about it. */
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
/** Messages that are about a pod, a container or an image. */
const ABOUT_SOMEBODY = new Set([
  ...['PodSandbox', 'PodSandboxStatus', 'PodSandboxStats', 'PodSandboxMetrics', 'Image'],
  ...['Container', 'ContainerStatus', 'ContainerStats', 'ContainerMetrics', 'WindowsContainerStats'],
]);

export interface Keyed {
  /** Without keys the items are compared by their places. */
  readonly hasKeys: boolean;
  readonly items: ReadonlyMap<string, JsonObject>;
}

/** The items of a list of messages, in their order, by keys that both sides share. */
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

/** Two items of one name, as one key of the environment given twice. */
function unused(key: string, items: ReadonlyMap<string, unknown>): string {
  let found = key;
  for (let more = 2; items.has(found); more++) found = `${key} (${more})`;
  return found;
}
