import { DESCRIPTORS } from '../../proto/descriptors';

export interface MethodTypes {
  readonly request: string;
  readonly response: string;
  readonly streams: boolean;
}

export const EVENTS = 'GetContainerEvents';

/** @returns undefined for a method that the proto does not know. */
export function typesOf(method: string): MethodTypes | undefined {
  for (const methods of Object.values(DESCRIPTORS.services)) {
    const types = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (types !== undefined) return { request: types[0], response: types[1], streams: types[2] };
  }
  return undefined;
}

/** What changes nothing, and is asked as often as the client likes. */
export function isPolled(method: string): boolean {
  return /^(?:List|Stream)|(?:Status|Stats|^Version|^RuntimeConfig|FsInfo)$/.test(method);
}

/** The field of a list's answer that has the items, if each of them is about somebody; else the answer is compared as a whole. */
export function listedIn(response: string): { readonly field: string; readonly type: string } | undefined {
  const rows = DESCRIPTORS.messages[response] ?? [];
  const [row] = rows;
  if (rows.length !== 1 || row === undefined) return undefined;
  const [, field, type, kind] = row;
  return kind === 'list' && /^(?:PodSandbox|Container|Image)(?:Stats|Metrics)?$/.test(type)
    ? { field, type }
    : undefined;
}
