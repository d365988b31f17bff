import type { Json, JsonObject } from '../../proto/fields';
import type { ObservedCall } from '../observation';
import { isObject, listOf, objectOf, textOf } from '../json';
import { shortName } from './image-names';

/** The pod, container or image that a call is about, by names that are the same on both sides. */
export interface Identity {
  /** `namespace/name`, with `#1` for the second attempt. */
  readonly pod?: string;
  readonly container?: string;
  readonly image?: string;
}

/**
 * Maps the ids of one side to names. All calls are read before any is compared, because the answer that names a pod may come later
 * than a call about the pod.
 */
export class Identities {
  readonly #byId = new Map<string, Identity>();
  readonly #images = new Map<string, string>();

  constructor(calls: readonly ObservedCall[]) {
    for (const call of calls) this.#learn(call);
  }

  /** Returns the identity of an id; undefined if no call names it. */
  get(id: Json | undefined): Identity | undefined {
    return typeof id === 'string' ? this.#byId.get(id) : undefined;
  }

  /** Returns the short form of the name that requests use for an image. If no name is known, returns the short form of the argument. */
  imageName(nameOrId: string): string {
    return this.#images.get(nameOrId) ?? shortName(nameOrId);
  }

  /** Returns the name of a pod, container or image, which is the same on both sides. If no name is known, returns the id. */
  named(id: string): string {
    const known = this.#byId.get(id);
    if (known === undefined) return this.#images.get(id) ?? id;
    return [known.pod, known.container].filter((part) => part !== undefined).join('/');
  }

  /** Returns the pod, container or image that a request is about. */
  of({ method, request }: Pick<ObservedCall, 'method' | 'request'>): Identity {
    if (method === 'CreateContainer') {
      const config = objectOf(request.config);
      const pod = this.get(request.pod_sandbox_id)?.pod ?? podOf(objectOf(request.sandbox_config).metadata);
      return { ...(pod === undefined ? {} : { pod }), ...containerOf(config.metadata) };
    }
    if (method === 'RunPodSandbox' || method === 'RestorePod')
      return podIdentity(objectOf(request.config).metadata);
    const filter = objectOf(request.filter);
    const ids = [request.container_id, request.pod_sandbox_id, filter.id, filter.pod_sandbox_id];
    const found = ids.map((id) => this.get(id)).find((identity) => identity !== undefined);
    if (found !== undefined) return found;
    const image = textOf(objectOf(request.image).image) ?? textOf(objectOf(filter.image).image);
    return image === undefined ? {} : { image: this.imageName(image) };
  }

  /** Returns the identity of a list item: a container, a sandbox, an image, or the stats or metrics of one. */
  ofItem(item: JsonObject): Identity | undefined {
    const attributes = isObject(item.attributes) ? item.attributes : item;
    const ids = [item.container_id, attributes.id, item.pod_sandbox_id];
    const id = ids.map(textOf).find((text) => text !== undefined);
    const known = id === undefined ? undefined : this.#byId.get(id);
    if (known !== undefined) return known;
    if (isObject(attributes.metadata))
      return { ...podIdentity(attributes.metadata), ...containerOf(attributes.metadata) };
    if (item.size === undefined && item.repo_tags === undefined && item.repo_digests === undefined)
      return undefined;
    return { image: this.imageName(nameOfImage(item)) };
  }

  #learn({ method, request, response, messages = [] }: ObservedCall): void {
    const { pod } = this.of({ method, request });
    for (const answer of [response ?? {}, ...messages]) {
      const made = textOf(answer.pod_sandbox_id);
      if (method === 'RunPodSandbox' && made !== undefined)
        this.#byId.set(made, podIdentity(objectOf(request.config).metadata));
      const created = textOf(answer.container_id);
      if (method === 'CreateContainer' && created !== undefined)
        this.#byId.set(created, this.of({ method, request }));
      this.#search(answer, pod);
      this.#image(request, answer);
    }
  }

  /** Learns the identity of every object in an answer that has an id and metadata. */
  #search(value: JsonObject, outer: string | undefined): void {
    const status = objectOf(value.pod_sandbox_status ?? value.status);
    const pod =
      podOf(value.metadata) ??
      podOf(status.metadata) ??
      this.get(value.pod_sandbox_id)?.pod ??
      podOfLabels(value) ??
      outer;
    const id = textOf(value.id);
    if (id !== undefined && isObject(value.metadata) && !this.#byId.has(id))
      this.#byId.set(id, {
        ...(pod === undefined ? {} : { pod }),
        ...(podOf(value.metadata) === undefined ? containerOf(value.metadata) : {}),
      });
    for (const part of Object.values(value))
      for (const one of Array.isArray(part) ? listOf(part) : [part])
        if (isObject(one)) this.#search(one, pod);
  }

  #image(request: JsonObject, answer: JsonObject): void {
    const asked = textOf(objectOf(request.image).image);
    const pulled = textOf(answer.image_ref);
    if (pulled !== undefined && asked !== undefined) this.#name(pulled, asked);
    for (const image of [answer.image, ...listOf(answer.images)].filter(isObject)) {
      const id = textOf(image.id);
      if (id !== undefined) this.#name(id, asked === undefined || asked === id ? nameOfImage(image) : asked);
    }
  }

  #name(id: string, name: string): void {
    if (id !== name && !this.#images.has(id)) this.#images.set(id, shortName(name));
  }
}

function nameOfImage(image: JsonObject): string {
  const names = [...listOf(image.repo_tags), ...listOf(image.repo_digests), image.id];
  return names.map(textOf).find((name) => name !== undefined) ?? 'an image without a name';
}

/** Returns undefined for the metadata of a container, which has no namespace. */
function podOf(metadata: Json | undefined): string | undefined {
  const { namespace, name, attempt } = objectOf(metadata);
  return typeof namespace === 'string' && typeof name === 'string'
    ? `${namespace}/${name}${times(attempt)}`
    : undefined;
}

function podIdentity(metadata: Json | undefined): Identity {
  const pod = podOf(metadata);
  return pod === undefined ? {} : { pod };
}

function containerOf(metadata: Json | undefined): Identity {
  const { namespace, name, attempt } = objectOf(metadata);
  return typeof name === 'string' && namespace === undefined ? { container: `${name}${times(attempt)}` } : {};
}

function times(attempt: Json | undefined): string {
  return typeof attempt === 'number' && attempt > 0 ? `#${attempt}` : '';
}

/** Returns the pod that is named by the labels that kubelet gives to each container. */
function podOfLabels(object: JsonObject): string | undefined {
  const labels = objectOf(object.labels);
  const [namespace, name] = [labels['io.kubernetes.pod.namespace'], labels['io.kubernetes.pod.name']];
  return typeof namespace === 'string' && typeof name === 'string' ? `${namespace}/${name}` : undefined;
}
