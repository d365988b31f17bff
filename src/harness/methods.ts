import { DESCRIPTORS } from '../proto/descriptors';

export interface Method {
  /** `v1` or `v1alpha2`: no other package of that name has the messages of our proto. */
  readonly api: string;
  readonly service: string;
  readonly name: string;
  /** Names of the messages; undefined for a method that the proto does not know. */
  readonly request: string | undefined;
  readonly response: string | undefined;
  readonly streams: boolean;
}

/**
 * The method that a path such as `/runtime.v1.RuntimeService/Version` names. The messages of v1alpha2 are read as those of v1,
 * which kept its field numbers.
 * @returns undefined for a path that is no method of CRI by its form.
 */
export function methodOf(path: string): Method | undefined {
  const [, api = '', service = '', name = ''] = /^\/runtime\.(v1|v1alpha2)\.(\w+)\/(\w+)$/.exec(path) ?? [];
  if (name === '') return undefined;
  const [request, response, streams = false] = known(known(DESCRIPTORS.services, service) ?? {}, name) ?? [];
  return { api, service, name, request, response, streams };
}

/** All methods, by their names: no two services have one of the same name. */
export const METHOD_NAMES: readonly string[] = Object.values(DESCRIPTORS.services).flatMap((methods) =>
  Object.keys(methods),
);

function known<Value>(table: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** The path of v1 of a method; undefined if CRI has none of this name. */
export function pathOfMethod(name: string): string | undefined {
  const [service] =
    Object.entries(DESCRIPTORS.services).find(([, methods]) => Object.hasOwn(methods, name)) ?? [];
  return service === undefined ? undefined : `/runtime.v1.${service}/${name}`;
}

/** The name of the message that a method of CRI asks with; empty if CRI has no such method. */
export function requestType(name: string): string {
  return methodOf(pathOfMethod(name) ?? '')?.request ?? '';
}
