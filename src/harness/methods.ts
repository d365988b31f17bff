import { DESCRIPTORS } from '../proto/descriptors';

export interface Method {
  /** `v1` or `v1alpha2`. Other versions of the package would have other messages than our proto. */
  readonly api: string;
  readonly service: string;
  readonly name: string;
  /** The names of the messages; undefined for a method that the proto does not define. */
  readonly request: string | undefined;
  readonly response: string | undefined;
  readonly streams: boolean;
}

/**
 * Returns the method that a path such as `/runtime.v1.RuntimeService/Version` names. The messages of v1alpha2 are read as those of v1,
 * which kept its field numbers.
 * @returns undefined for a path that does not have the form of a CRI method.
 */
export function methodOf(path: string): Method | undefined {
  const [, api = '', service = '', name = ''] = /^\/runtime\.(v1|v1alpha2)\.(\w+)\/(\w+)$/.exec(path) ?? [];
  if (name === '') return undefined;
  const [request, response, streams = false] = known(known(DESCRIPTORS.services, service) ?? {}, name) ?? [];
  return { api, service, name, request, response, streams };
}

/** The names of all methods. No two services have a method of the same name. */
export const METHOD_NAMES: readonly string[] = Object.values(DESCRIPTORS.services).flatMap((methods) =>
  Object.keys(methods),
);

function known<Value>(table: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** Returns the v1 path of a method; undefined if CRI has no method of this name. */
export function pathOfMethod(name: string): string | undefined {
  const [service] =
    Object.entries(DESCRIPTORS.services).find(([, methods]) => Object.hasOwn(methods, name)) ?? [];
  return service === undefined ? undefined : `/runtime.v1.${service}/${name}`;
}

/** Returns the name of a method's request message; empty if CRI has no such method. */
export function requestType(name: string): string {
  return methodOf(pathOfMethod(name) ?? '')?.request ?? '';
}

/** The stream of container events. It is compared and replayed differently from all other methods. */
export const EVENTS = 'GetContainerEvents';

/** Methods that only read. Clients call them repeatedly. */
const POLLED = /^(List\w+|Stream\w+|\w*Status|\w+Stats|Version|RuntimeConfig|ImageFsInfo)$/;

/** Returns whether a method only reads, so that clients may call it any number of times. */
export const isPolled = (method: string): boolean => POLLED.test(method);
