import type { Json, JsonObject } from '../../proto/fields';
import { asText, isObject, objectOf, objectsOf, textOf } from '../json';
import { EVENTS } from './kinds';

/** What an answer says of one pod or container: its id, and its state by the name of CRI's enum, if it tells one. */
export type State = readonly [id: string, state: string];

interface Answer {
  readonly response?: JsonObject;
  readonly messages?: readonly JsonObject[];
}

/** Which enum's first name a missing state stands for; an answer of another method tells no states. */
const FIRST: Readonly<Record<string, string>> = {
  ListPodSandbox: 'SANDBOX_READY',
  StreamPodSandboxes: 'SANDBOX_READY',
  PodSandboxStatus: 'SANDBOX_READY',
  ListContainers: 'CONTAINER_CREATED',
  StreamContainers: 'CONTAINER_CREATED',
  ContainerStatus: 'CONTAINER_CREATED',
};

/** Later states, which no pod or container leaves for an earlier one. */
const RANK: Readonly<Record<string, number>> = {
  ...{ CONTAINER_CREATED: 0, CONTAINER_RUNNING: 1, CONTAINER_EXITED: 2 },
  ...{ SANDBOX_READY: 0, SANDBOX_NOTREADY: 1 },
};

/** The pods and containers that an answer tells of, with their states. */
export function statesIn(method: string, { response, messages = [] }: Answer): readonly State[] {
  const first = FIRST[method] ?? '';
  return [...(response === undefined ? [] : [response]), ...messages].flatMap((message) =>
    [...objectsIn(message), ...(isObject(message.status) ? [message.status] : [])].flatMap((item) => {
      const id = idOf(item);
      return id === undefined ? [] : [[id, textOf(item.state) ?? first] as const];
    }),
  );
}

/** Whether `state` comes after `before`. */
export function isLater(state: string, before: string): boolean {
  return (RANK[state] ?? -1) > (RANK[before] ?? -1);
}

/** The same message with those pods and containers of its lists alone that are to be kept. */
export function restricted(message: JsonObject, keep: (id: string) => boolean): JsonObject {
  const isKept = (item: Json): boolean => {
    const id = isObject(item) ? idOf(item) : undefined;
    return id === undefined || keep(id);
  };
  return Object.fromEntries(
    Object.entries(message).flatMap(([name, value]): [string, Json][] => {
      if (!Array.isArray(value)) return [[name, value]];
      const kept = (value as readonly Json[]).filter(isKept);
      // An empty list is none in proto3.
      return kept.length === 0 ? [] : [[name, kept]];
    }),
  );
}

/** The messages of a stream as far as they are about pods and containers that are to be kept. An event is of one of them; other messages are lists. */
export function keptMessages(
  method: string,
  messages: readonly JsonObject[],
  keep: (id: string) => boolean,
): readonly JsonObject[] {
  if (method === EVENTS) return messages.filter(({ container_id }) => keep(asText(container_id)));
  return messages.map((message) => restricted(message, keep));
}

/** The pod or container that an item of a list is: lists of pods, containers, stats and metrics each have their own place for it. */
function idOf(item: JsonObject): string | undefined {
  return textOf(item.id) ?? textOf(objectOf(item.attributes).id) ?? textOf(item.pod_sandbox_id) ?? undefined;
}

function objectsIn(message: JsonObject): readonly JsonObject[] {
  return Object.values(message).flatMap((value) => objectsOf(value));
}
