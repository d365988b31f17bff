import type { SandboxMetadata } from '../../store/records';

/**
 * Engine container names. They equal cri-dockerd's, so that dockbridge and cri-dockerd each see the other's pods:
 * `k8s_POD_<pod>_<namespace>_<uid>_<attempt>` and `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`. When another
 * container has such a name, a seventh field makes the new name unique.
 */
const PREFIX = 'k8s';
const SANDBOX_FIELD = 'POD';

export interface ContainerIdentity {
  readonly name: string;
  readonly attempt: number;
}

export function sandboxEngineName(pod: SandboxMetadata): string {
  return [PREFIX, SANDBOX_FIELD, pod.name, pod.namespace, pod.uid, pod.attempt].join('_');
}

export function containerEngineName(container: ContainerIdentity, pod: SandboxMetadata): string {
  return [PREFIX, container.name, pod.name, pod.namespace, pod.uid, container.attempt].join('_');
}

/** Removes the slash with which the Engine's names begin. */
export function withoutSlash(name: string): string {
  return name.replace(/^\//, '');
}

/**
 * Returns a longer name, for a container whose usual name is taken.
 * @param suffix eight hexadecimal digits.
 */
export function uniqueEngineName(name: string, suffix: string): string {
  return `${name}_${suffix}`;
}

/** Whether `engineName` is `name`, perhaps with the field that makes it unique. */
export function isMadeOf(engineName: string, name: string): boolean {
  return engineName === name || engineName.startsWith(`${name}_`);
}

export interface ParsedName {
  /** The container's name; `POD` for a sandbox. */
  readonly first: string;
  readonly pod: Omit<SandboxMetadata, 'attempt'>;
  readonly attempt: number;
}

/** @returns undefined for a name that neither dockbridge nor cri-dockerd made. */
export function parseEngineName(engineName: string): ParsedName | undefined {
  const fields = engineName.split('_');
  const [prefix, first, name, namespace, uid, attempt] = fields;
  if (prefix !== PREFIX || (fields.length !== 6 && fields.length !== 7)) return undefined;
  if (first === undefined || name === undefined || namespace === undefined || uid === undefined)
    return undefined;
  if (attempt === undefined || !/^\d+$/.test(attempt)) return undefined;
  return { first, pod: { name, namespace, uid }, attempt: Number(attempt) };
}
