import type { JsonObject } from '../../proto/fields';
import { objectOf, objectsOf, textOf } from '../json';
import type { ObservedCall } from '../observation';
import type { Bindings } from './bindings';
import type { Endpoint } from './endpoint';

const LOOK_MS = 20_000;

/** Finds the image on the endpoint that corresponds to an image on the tape, by its name or by the recorded runtime's id. */
export class Images {
  /** Ids and digests in the recording → the names that the recording contains for them. */
  readonly #names = new Map<string, Set<string>>();
  readonly #found = new Map<string, Promise<string | undefined>>();

  /** @param given the local names that `--image RECORDED=LOCAL` gives to recorded names. */
  constructor(
    private readonly endpoint: Endpoint,
    private readonly bindings: Bindings,
    private readonly given: ReadonlyMap<string, string>,
    calls: readonly ObservedCall[],
  ) {
    for (const call of calls) this.#learn(call);
  }

  /** Returns the name from `--image`. Without one, returns the endpoint's id for a known id, and any other name or id as it is. */
  async nameFor(recorded: string): Promise<string> {
    return this.#given(recorded) ?? (isId(recorded) ? await this.idFor(recorded) : undefined) ?? recorded;
  }

  /** Returns the endpoint's id for an image; undefined if the endpoint does not have the image now. */
  async idFor(recorded: string): Promise<string | undefined> {
    const known = this.#found.get(recorded) ?? this.#look(recorded);
    this.#found.set(recorded, known);
    const id = await known;
    // A missing image is looked up again the next time, because it may have been pulled in the meantime.
    if (id === undefined) this.#found.delete(recorded);
    else for (const of of this.#recordedIds(recorded)) this.bindings.bind(of, id);
    return id;
  }

  /** Replaces a local name of `--image` by the recorded name. A local name that stands for several recorded names stays as it is. */
  asRecorded(text: string): string {
    const [recorded, ...others] = [...this.given].filter(([, local]) => local === text).map(([name]) => name);
    return others.length === 0 ? (recorded ?? text) : text;
  }

  /** Returns whether the endpoint has the image under exactly this name. */
  async isPresent(name: string): Promise<boolean> {
    return (await this.#status(name)) !== undefined;
  }

  async #look(recorded: string): Promise<string | undefined> {
    const given = this.#given(recorded);
    const candidates = given === undefined ? [recorded, ...(this.#names.get(recorded) ?? [])] : [given];
    for (const candidate of candidates) {
      const id = await this.#status(candidate);
      if (id !== undefined) return id;
    }
    return undefined;
  }

  async #status(image: string): Promise<string | undefined> {
    const { response } = await this.endpoint.call(
      'ImageStatus',
      { image: { image } },
      { deadlineMs: LOOK_MS },
    );
    return textOf(objectOf(response?.image).id);
  }

  /** Returns the recorded runtime's ids of an image, which its lists contain; the name itself if the tape has none. */
  #recordedIds(recorded: string): readonly string[] {
    if (isId(recorded)) return [recorded];
    const ids = [...this.#names].filter(([id, names]) => isId(id) && names.has(recorded)).map(([id]) => id);
    return ids.length === 0 ? [recorded] : ids;
  }

  #given(recorded: string): string | undefined {
    const names = [recorded, ...(this.#names.get(recorded) ?? [])];
    return names.flatMap((name) => this.given.get(name) ?? [])[0];
  }

  #learn({ method, request, response }: ObservedCall): void {
    const asked = textOf(objectOf(request.image).image);
    if (method === 'PullImage') this.#named(textOf(response?.image_ref), [asked]);
    if (method === 'ImageStatus') this.#image(objectOf(response?.image), asked);
    for (const image of objectsOf(method === 'ListImages' ? response?.images : undefined)) this.#image(image);
    const { image, user_specified_image } = objectOf(objectOf(request.config).image);
    if (method === 'CreateContainer') this.#named(textOf(image), [textOf(user_specified_image)]);
  }

  #image(image: JsonObject, asked?: string): void {
    const tags = Array.isArray(image.repo_tags) ? (image.repo_tags as readonly string[]) : [];
    const digests = Array.isArray(image.repo_digests) ? (image.repo_digests as readonly string[]) : [];
    for (const id of [image.id, ...digests]) this.#named(textOf(id), [asked, ...tags, ...digests]);
  }

  #named(id: string | undefined, names: readonly (string | undefined)[]): void {
    if (id === undefined) return;
    const known = this.#names.get(id) ?? new Set();
    for (const name of names) if (name !== undefined && name !== id) known.add(name);
    this.#names.set(id, known);
  }
}

/** Returns whether a text is an image's id, which differs between runtimes, and not a name. */
export function isId(image: string): boolean {
  return /^(sha256:)?[0-9a-f]{64}$/.test(image);
}
