import { asText, isObject, listOf, objectOf, textOf } from '../json';
import type { JsonObject } from '../../proto/fields';
import type { ObservedCall } from '../observation';
import type { Identities, Identity } from './identities';
import { listedIn, typesOf } from './message-types';

/**
 * Numbers the pods and containers of the same name from 0, in the order of the calls that created them. Those that existed before these
 * calls follow in the order of created_at, because the order within a list has no meaning.
 */
export class Makings {
  readonly #numbers = new Map<string, number>();
  readonly #counts = new Map<string, number>();

  /** @param calls in order of time. */
  constructor(calls: readonly ObservedCall[], identities: Identities) {
    for (const { method, response = {} } of calls) {
      if (method === 'RunPodSandbox') this.#add(textOf(response.pod_sandbox_id), identities);
      if (method === 'CreateContainer') this.#add(textOf(response.container_id), identities);
    }
    const listed = new Map<string, bigint>();
    for (const item of calls.flatMap(itemsOf)) {
      const time = asText(item.created_at);
      if (/^\d+$/.test(time) && isObject(item.metadata)) listed.set(idOf(item), BigInt(time));
    }
    for (const [id] of [...listed].sort(([, one], [, other]) => (one < other ? -1 : one > other ? 1 : 0)))
      this.#add(id, identities);
  }

  /** Returns the number of a pod or container; 0 for any other item, and if the number is not known. */
  of(item: JsonObject): number {
    return this.#numbers.get(idOf(item)) ?? 0;
  }

  #add(id: string | undefined, identities: Identities): void {
    const identity = identities.get(id);
    if (id === undefined || identity === undefined || this.#numbers.has(id)) return;
    const name = keyOf(identity);
    const number = this.#counts.get(name) ?? 0;
    this.#counts.set(name, number + 1);
    this.#numbers.set(id, number);
  }
}

function itemsOf({ method, response, messages = [] }: ObservedCall): readonly JsonObject[] {
  const listed = listedIn(typesOf(method)?.response ?? '');
  if (listed === undefined) return [];
  return [response ?? {}, ...messages].flatMap((answer) => listOf(answer[listed.field]).filter(isObject));
}

function idOf(item: JsonObject): string {
  return textOf(objectOf(item.attributes).id) ?? textOf(item.id) ?? '';
}

function keyOf({ pod = '', container = '' }: Identity): string {
  return `${pod}\0${container}`;
}
