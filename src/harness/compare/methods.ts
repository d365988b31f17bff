import { DESCRIPTORS } from '../../proto/descriptors';

export interface MethodTypes {
  readonly request: string;
  readonly response: string;
  readonly streams: boolean;
}

export const EVENTS = 'GetContainerEvents';

/** Returns the message types of a method; undefined for a method that the proto does not define. */
export function typesOf(method: string): MethodTypes | undefined {
  for (const methods of Object.values(DESCRIPTORS.services)) {
    const types = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (types !== undefined) return { request: types[0], response: types[1], streams: types[2] };
  }
  return undefined;
}

/** Returns whether a method only reads, so that clients call it as often as they like. */
export function isPolled(method: string): boolean {
  return /^(?:List|Stream)|(?:Status|Stats|^Version|^RuntimeConfig|FsInfo)$/.test(method);
}

/**
 * Returns the field with the items of a list, if each item is about one pod, container or image.
 * Otherwise returns undefined, and the answer is compared as a whole.
 */
export function listedIn(response: string): { readonly field: string; readonly type: string } | undefined {
  const rows = DESCRIPTORS.messages[response] ?? [];
  const [row] = rows;
  if (rows.length !== 1 || row === undefined) return undefined;
  const [, field, type, kind] = row;
  return kind === 'list' && /^(?:PodSandbox|Container|Image)(?:Stats|Metrics)?$/.test(type)
    ? { field, type }
    : undefined;
}
