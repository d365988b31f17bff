import type { Json, JsonObject } from '../../proto/fields';
import { withoutUnknown } from '../../proto/without-unknown';
import { messageOf } from '../../lib/errors';
import { asText, isObject, mapTexts, objectOf, objectsOf, textOf } from '../json';
import type { Bindings } from './bindings';
import { HiddenValues, withHidden } from './hidden-values';
import { isId, type Images } from './images';
import { idsIn } from './replay-plan';
import type { Scratch } from './scratch';
import { hasCgroup } from './scratch';

/** The error for a request that cannot be made on this endpoint. The message says why. */
export class NotPossible extends Error {}

/**
 * Returns a request with the recorded control groups and hidden values, because leaving them out is not a difference.
 * @see Requests.droppedGroups
 */
export function withRecorded(live: JsonObject, recorded: JsonObject): JsonObject {
  const put = (name: string): JsonObject => {
    const { cgroup_parent } = objectOf(objectOf(recorded[name]).linux);
    const config = objectOf(live[name]);
    if (cgroup_parent === undefined || !isObject(config.linux)) return {};
    return { [name]: { ...config, linux: { ...config.linux, cgroup_parent } } };
  };
  return withHidden({ ...live, ...put('config'), ...put('sandbox_config') }, recorded);
}

/** Turns requests of a tape into requests for an endpoint. */
export class Requests {
  readonly hidden = new HiddenValues();
  /** How many requests had fields that the proto does not know. These fields were left out. */
  unknown = 0;
  /** Control groups that were left out because they do not exist on this machine. */
  readonly droppedGroups = new Set<string>();
  /** Mounts of this machine's files that were writable on the tape and are read-only in the replay, by `placeOf`. */
  readonly #madeReadOnly = new Set<string>();

  constructor(
    private readonly bindings: Bindings,
    private readonly images: Images,
    private readonly scratch: Scratch,
  ) {}

  /**
   * Returns the request for the endpoint.
   * @param type the name of the message, such as `CreateContainerRequest`.
   * @throws NotPossible if a path, an image or a log file of the request has no counterpart here.
   */
  async for(method: string, type: string, recorded: JsonObject): Promise<JsonObject> {
    let dropped = 0;
    const known = withoutUnknown(type, recorded, () => dropped++);
    if (dropped > 0) this.unknown++;
    const shown = this.hidden.replaced(type, known);
    const request: Record<string, Json> = { ...(this.#withIds(shown, recorded) as JsonObject) };
    if (method === 'RunPodSandbox') request.config = await this.#pod(objectOf(request.config));
    if (method === 'CreateContainer') {
      const { log_directory } = objectOf(request.sandbox_config);
      if (isObject(request.sandbox_config)) request.sandbox_config = await this.#pod(request.sandbox_config);
      request.config = await this.#container(objectOf(request.config), textOf(log_directory));
    }
    const image = objectOf(request.image);
    const name = textOf(image.image);
    if (name !== undefined) request.image = { ...image, image: await this.images.nameFor(name) };
    return request;
  }

  /** Returns a request or an answer with the image names, paths and mounts of the recording, so that it can be compared. */
  asRecorded(message: JsonObject): JsonObject {
    return mapTexts(this.#asWritable(message), (text) => this.textAsRecorded(text)) as JsonObject;
  }

  textAsRecorded(text: string): string {
    return this.images.asRecorded(this.scratch.asRecorded(text));
  }

  #asWritable(value: JsonObject): JsonObject {
    if (this.#madeReadOnly.size === 0) return value;
    const writable = (one: Json): Json => {
      if (Array.isArray(one)) return (one as readonly Json[]).map(writable);
      if (!isObject(one)) return one;
      const { readonly: _, ...rest } = one;
      const its = this.#madeReadOnly.has(placeOf(one)) ? rest : one;
      return Object.fromEntries(Object.entries(its).map(([name, item]) => [name, writable(item)]));
    };
    return writable(value) as JsonObject;
  }

  async #pod(config: JsonObject): Promise<JsonObject> {
    const linux: Record<string, Json> = { ...objectOf(config.linux) };
    const parent = textOf(linux.cgroup_parent);
    if (parent !== undefined && !(await hasCgroup(parent))) {
      this.droppedGroups.add(parent);
      delete linux.cgroup_parent;
    }
    const logs = textOf(config.log_directory);
    return {
      ...config,
      ...(isObject(config.linux) ? { linux } : {}),
      ...(logs === undefined ? {} : { log_directory: await this.scratch.logDirectory(logs) }),
    };
  }

  async #container(config: JsonObject, logDirectory: string | undefined): Promise<JsonObject> {
    const logPath = textOf(config.log_path);
    if (logPath !== undefined) await this.#logPlace(logDirectory, logPath);
    const mounts: JsonObject[] = [];
    for (const mount of objectsOf(config.mounts)) {
      const path = textOf(mount.host_path);
      const source = isObject(mount.image) ? { image: await this.#image(mount.image) } : {};
      const host = path === undefined ? {} : await this.#mount(path, mount);
      mounts.push({ ...mount, ...source, ...host });
    }
    return {
      ...config,
      ...(isObject(config.image) ? { image: await this.#image(config.image) } : {}),
      ...(mounts.length === 0 ? {} : { mounts }),
    };
  }

  async #logPlace(logDirectory: string | undefined, logPath: string): Promise<void> {
    // Without a log directory, a runtime may use log_path as a path of the host.
    if (logDirectory === undefined) throw new NotPossible('it has a log_path but no log_directory');
    try {
      await this.scratch.logPlace(logDirectory, logPath);
    } catch (error) {
      throw new NotPossible(messageOf(error));
    }
  }

  async #mount(recorded: string, mount: JsonObject): Promise<JsonObject> {
    try {
      const { path, isReadOnly } = await this.scratch.mount(recorded, textOf(mount.container_path) ?? '');
      if (!isReadOnly || mount.readonly === true) return { host_path: path };
      this.#madeReadOnly.add(placeOf({ ...mount, host_path: path }));
      return { host_path: path, readonly: true };
    } catch (error) {
      throw new NotPossible(
        `no scratch file or directory could be created for ${recorded}: ${messageOf(error)}`,
      );
    }
  }

  async #image(image: JsonObject): Promise<JsonObject> {
    const name = textOf(image.image);
    if (name === undefined) return image;
    const id = await this.images.idFor(name);
    if (id === undefined)
      throw new NotPossible(
        `the endpoint has no image ${textOf(image.user_specified_image) ?? name}: pull it there, or name another with --image RECORDED=LOCAL`,
      );
    const given = textOf(image.user_specified_image);
    return {
      ...image,
      // A name is replaced by a name, and an id by the endpoint's id.
      image: name === given || !isId(name) ? await this.images.nameFor(name) : id,
      ...(given === undefined ? {} : { user_specified_image: await this.images.nameFor(given) }),
    };
  }

  /** Replaces the ids of the tape by those of the endpoint. An id without a counterpart stays as it is. */
  #withIds(value: Json, recorded: JsonObject): Json {
    const ids = new Map(idsIn(recorded).map((id) => [id, this.bindings.live(id)] as const));
    const replaced = (one: Json, key: string): Json => {
      if (
        typeof one === 'string' &&
        ids.has(one) &&
        ['pod_sandbox_id', 'container_id', 'id', 'target_id'].includes(key)
      )
        return ids.get(one) ?? one;
      if (!isObject(one)) return one;
      return Object.fromEntries(Object.entries(one).map(([name, item]) => [name, replaced(item, name)]));
    };
    return replaced(value, '');
  }
}

/** Returns a text that identifies a mount by its two paths. */
function placeOf({ host_path, container_path }: JsonObject): string {
  return JSON.stringify([asText(host_path), asText(container_path)]);
}
