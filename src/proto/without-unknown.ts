import { fieldsByName } from './json-to-message';
import { isMessage, UNKNOWN, type Json, type JsonObject } from './fields';

/**
 * Returns a message without the fields that the proto does not know, at any depth. The raw bytes of such fields come last in a
 * message, so they could override every field that was checked before.
 * @param message the message's name, such as `RunPodSandboxRequest`.
 * @param onDropped called for each list of unknown fields that is left out.
 */
export function withoutUnknown(
  message: string,
  json: JsonObject,
  onDropped: () => void = () => undefined,
): JsonObject {
  const fields = fieldsByName(message);
  return Object.fromEntries(
    Object.entries(json).flatMap(([name, value]): [string, Json][] => {
      if (name === UNKNOWN) {
        onDropped();
        return [];
      }
      const [, , type = '', kind = 'one'] = fields?.get(name) ?? [];
      if (!isMessage(type)) return [[name, value]];
      const one = (item: Json): Json => (isObject(item) ? withoutUnknown(type, item, onDropped) : item);
      if (Array.isArray(value)) return [[name, (value as readonly Json[]).map(one)]];
      if (kind !== 'map' || !isObject(value)) return [[name, one(value)]];
      return [[name, Object.fromEntries(Object.entries(value).map(([key, item]) => [key, one(item)]))]];
    }),
  );
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
