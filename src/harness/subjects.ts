import type { Json, JsonObject } from '../proto/fields';
import { objectOf, objectsOf, textOf } from './json';

/** The pod and the container that a call is about, as far as they are known. */
export interface Subject {
  /** `namespace/name` */
  readonly pod?: string;
  /** The container's name. */
  readonly container?: string;
}

/** Methods whose answers show which pod or container an id belongs to. */
export const TELLING: ReadonlySet<string> = new Set([
  ...['RunPodSandbox', 'CreateContainer', 'ListPodSandbox', 'StreamPodSandboxes', 'PodSandboxStatus'],
  ...['ListContainers', 'StreamContainers', 'ContainerStatus', 'GetContainerEvents'],
]);

/** Learns from the calls of a tape, in order, which pod or container each id belongs to. */
export class Subjects {
  readonly #pods = new Map<string, string>();
  readonly #containers = new Map<string, Subject>();

  /** Learns ids from a call. @param answer a response, or one message of a stream. */
  learn(method: string, request: Json | undefined, answer: Json | undefined): void {
    const asked = objectOf(request);
    const told = objectOf(answer);
    if (method === 'RunPodSandbox') this.#pod(told.pod_sandbox_id, objectOf(asked.config).metadata);
    if (method === 'CreateContainer')
      this.#container(told.container_id, objectOf(asked.config).metadata, this.of(request).pod);
    for (const item of objectsOf(told.items)) this.#pod(item.id, item.metadata);
    for (const item of objectsOf(told.containers))
      this.#container(item.id, item.metadata, this.#podOf(item.pod_sandbox_id) ?? podOfLabels(item));
    const status = objectOf(told.status);
    if (method === 'PodSandboxStatus') this.#pod(status.id, status.metadata);
    if (method === 'ContainerStatus') this.#container(status.id, status.metadata, podOfLabels(status));
    const sandbox = objectOf(told.pod_sandbox_status);
    this.#pod(sandbox.id, sandbox.metadata);
  }

  /** Returns the pod and the container that a request or a container event is about. */
  of(message: Json | undefined): Subject {
    const fields = objectOf(message);
    const filter = objectOf(fields.filter);
    const sandbox = textOf(fields.pod_sandbox_id) ?? textOf(filter.pod_sandbox_id);
    const container = this.#containers.get(textOf(fields.container_id) ?? textOf(filter.id) ?? '');
    const named =
      podName(objectOf(fields.config).metadata) ?? podName(objectOf(fields.sandbox_config).metadata);
    const config = objectOf(objectOf(fields.config).metadata);
    const created = config.namespace === undefined ? textOf(config.name) : undefined;
    const pod = named ?? container?.pod ?? this.#podOf(sandbox) ?? this.#podOf(fields.container_id);
    const name = created ?? container?.container;
    return { ...(pod === undefined ? {} : { pod }), ...(name === undefined ? {} : { container: name }) };
  }

  #podOf(id: Json | undefined): string | undefined {
    return typeof id === 'string' ? this.#pods.get(id) : undefined;
  }

  #pod(id: Json | undefined, metadata: Json | undefined): void {
    const pod = podName(metadata);
    if (typeof id === 'string' && pod !== undefined) this.#pods.set(id, pod);
  }

  #container(id: Json | undefined, metadata: Json | undefined, pod: string | undefined): void {
    if (typeof id !== 'string') return;
    const before = this.#containers.get(id);
    const name = textOf(objectOf(metadata).name);
    this.#containers.set(id, {
      ...before,
      ...(pod === undefined ? {} : { pod }),
      ...(name === undefined ? {} : { container: name }),
    });
  }
}

/** Returns `namespace/name`; undefined for the metadata of a container, which has no namespace. */
function podName(metadata: Json | undefined): string | undefined {
  const { namespace, name } = objectOf(metadata);
  return typeof namespace === 'string' && typeof name === 'string' ? `${namespace}/${name}` : undefined;
}

/** Returns the pod that is named by the labels that kubelet gives to each container. */
function podOfLabels(object: JsonObject): string | undefined {
  const labels = objectOf(object.labels);
  const [namespace, name] = [labels['io.kubernetes.pod.namespace'], labels['io.kubernetes.pod.name']];
  return typeof namespace === 'string' && typeof name === 'string' ? `${namespace}/${name}` : undefined;
}
