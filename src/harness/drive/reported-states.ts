import type { Json, JsonObject } from '../../proto/fields';
import { asText, isObject, objectOf, objectsOf, textOf } from '../json';
import { EVENTS } from '../methods';

/** The id and the state of a pod or container in an answer. The state is a name of CRI's enum, or empty if the answer has none. */
export type State = readonly [id: string, state: string];

/** A pod or container in an answer. */
export interface Reported {
  readonly id: string;
  readonly state: string;
  /** The field of the answer that contains it: a list, or `status`. */
  readonly field: string;
  readonly item: JsonObject;
}

interface Answer {
  readonly response?: JsonObject;
  readonly messages?: readonly JsonObject[];
}

/** The enum default for which a missing state stands, by method. Answers of other methods contain no states. */
const FIRST: Readonly<Record<string, string>> = {
  ListPodSandbox: 'SANDBOX_READY',
  StreamPodSandboxes: 'SANDBOX_READY',
  PodSandboxStatus: 'SANDBOX_READY',
  ListContainers: 'CONTAINER_CREATED',
  StreamContainers: 'CONTAINER_CREATED',
  ContainerStatus: 'CONTAINER_CREATED',
};

/** The order of the states. No pod or container returns to an earlier one. */
const RANK: Readonly<Record<string, number>> = {
  ...{ CONTAINER_CREATED: 0, CONTAINER_RUNNING: 1, CONTAINER_EXITED: 2 },
  ...{ SANDBOX_READY: 0, SANDBOX_NOTREADY: 1 },
};

/** Returns the pods and containers in an answer, with their states. */
export function statesIn(method: string, answer: Answer): readonly State[] {
  return reportedIn(method, answer).map(({ id, state }) => [id, state]);
}

/** Returns the pods and containers in an answer, with their states and their places. */
export function reportedIn(method: string, { response, messages = [] }: Answer): readonly Reported[] {
  const first = FIRST[method] ?? '';
  return [...(response === undefined ? [] : [response]), ...messages].flatMap((message) =>
    itemsIn(message).flatMap(([field, item]) => {
      const id = idOf(item);
      return id === undefined ? [] : [{ id, state: textOf(item.state) ?? first, field, item }];
    }),
  );
}

/** Returns whether `state` is a later state than `before`. */
export function isLater(state: string, before: string): boolean {
  return (RANK[state] ?? -1) > (RANK[before] ?? -1);
}

/** Returns a message whose lists contain only the pods and containers that `keep` selects. */
export function restricted(message: JsonObject, keep: (id: string) => boolean): JsonObject {
  const isKept = (item: Json): boolean => {
    const id = isObject(item) ? idOf(item) : undefined;
    return id === undefined || keep(id);
  };
  return Object.fromEntries(
    Object.entries(message).flatMap(([name, value]): [string, Json][] => {
      if (!Array.isArray(value)) return [[name, value]];
      const kept = (value as readonly Json[]).filter(isKept);
      // Proto3 JSON leaves out an empty list.
      return kept.length === 0 ? [] : [[name, kept]];
    }),
  );
}

/** Returns the messages of a stream that are about kept pods and containers. An event is about one of them; other messages contain lists. */
export function keptMessages(
  method: string,
  messages: readonly JsonObject[],
  keep: (id: string) => boolean,
): readonly JsonObject[] {
  if (method === EVENTS) return messages.filter(({ container_id }) => keep(asText(container_id)));
  return messages.map((message) => restricted(message, keep));
}

/** Returns the id of a list item. Lists of pods, containers, stats and metrics have it in different fields. */
function idOf(item: JsonObject): string | undefined {
  return textOf(item.id) ?? textOf(objectOf(item.attributes).id) ?? textOf(item.pod_sandbox_id) ?? undefined;
}

function itemsIn(message: JsonObject): readonly (readonly [field: string, item: JsonObject])[] {
  const listed = Object.entries(message).flatMap(([field, value]) =>
    objectsOf(value).map((item) => [field, item] as const),
  );
  return isObject(message.status) ? [...listed, ['status', message.status]] : listed;
}
