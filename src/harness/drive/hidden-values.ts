import { isMessage, type Json, type JsonObject } from '../../proto/fields';
import { fieldsByName } from '../../proto/json-to-message';
import { asText, isObject, listOf, objectOf, textOf } from '../json';

/** The text with which a redacted tape replaces a value. */
const HIDDEN = /^hidden:[0-9a-f]{16}$/;
const ANY_HIDDEN = /hidden:[0-9a-f]{16}/g;
/** The fields of ExecSync's answer that contain output, in base64. */
const OUTPUTS: readonly string[] = ['stdout', 'stderr'];

/** Replaces the hidden values of a tape in requests, and recognizes the replacements in the answers. */
export class HiddenValues {
  /** How many hidden values were replaced or left out. */
  count = 0;
  /** The texts that the endpoint received in place of hidden values. */
  readonly #sent = new Set<string>();

  /**
   * Returns a request without hidden values: bytes are replaced by a placeholder, and texts by the text `hidden:…` itself. Other hidden
   * values are left out, and so is an AuthConfig that contains one.
   * @param type the name of the message, such as `CreateContainerRequest`.
   */
  replaced(type: string, json: JsonObject): JsonObject {
    const fields = fieldsByName(type);
    return Object.fromEntries(
      Object.entries(json).flatMap(([name, value]): [string, Json][] => {
        const [, , of = '', kind = 'one'] = fields?.get(name) ?? [];
        if (of === 'AuthConfig') {
          if (!hasHidden(value)) return [[name, value]];
          this.count++;
          return [];
        }
        const one = (item: Json): Json => this.#scalarOrMessage(of, item);
        if (kind === 'list' && Array.isArray(value)) return [[name, (value as readonly Json[]).map(one)]];
        if (kind === 'map') {
          const hidden = Object.values(objectOf(value)).map(asText).filter(isHidden);
          for (const text of hidden) this.#sent.add(text);
          if (hidden.length > 0) this.count++;
          return [[name, value]];
        }
        const shown = one(value);
        return shown === null ? [] : [[name, shown]];
      }),
    );
  }

  /**
   * Returns an answer in which a text or an output with a placeholder is hidden, if it could be the recorded one: everything before,
   * between and after the placeholders is equal.
   */
  inAnswer(live: JsonObject, recorded: JsonObject | undefined): JsonObject {
    if (this.#sent.size === 0) return live;
    return objectOf(this.#compared(live, recorded, ''));
  }

  #compared(live: Json, recorded: Json | undefined, name: string): Json {
    if (typeof live === 'string') return this.#text(live, recorded, OUTPUTS.includes(name)) ?? live;
    if (Array.isArray(live)) {
      const items = listOf(recorded);
      return listOf(live).map((item, at) => this.#compared(item, items[at], ''));
    }
    if (!isObject(live)) return live;
    const of = objectOf(recorded);
    return Object.fromEntries(
      Object.entries(live).map(([field, value]) => [field, this.#compared(value, of[field], field)]),
    );
  }

  #text(live: string, recorded: Json | undefined, isOutput: boolean): string | undefined {
    const decoded = (text: string): string =>
      isOutput ? Buffer.from(text, 'base64').toString('latin1') : text;
    const text = decoded(live);
    const placeholders = (text.match(ANY_HIDDEN) ?? []).filter((one) => this.#sent.has(one));
    const [first] = placeholders;
    if (first === undefined) return undefined;
    // A tape contains only the beginning of a long output.
    const head = textOf(objectOf(recorded).head);
    const was = decoded(head ?? asText(recorded));
    return isFilledIn(partsOf(text, placeholders), was, head !== undefined) ? first : undefined;
  }

  #scalarOrMessage(type: string, value: Json): Json {
    if (isObject(value)) return isMessage(type) ? this.replaced(type, value) : value;
    if (typeof value !== 'string' || !isHidden(value)) return value;
    this.count++;
    if (type !== 'string' && type !== 'bytes') return null;
    this.#sent.add(value);
    return type === 'string' ? value : Buffer.from(value).toString('base64');
  }
}

/** Returns a request with the hidden values of the recorded one that could not be sent, because leaving them out is not a difference. */
export function withHidden(live: JsonObject, recorded: JsonObject): JsonObject {
  const both = (one: Json | undefined, other: Json): Json | undefined => {
    if (one === undefined) return hasHidden(other) ? other : undefined;
    if (Array.isArray(one)) {
      const items = listOf(other);
      return listOf(one).map((item, at) => both(item, items[at] ?? null) ?? item);
    }
    if (!isObject(one) || !isObject(other)) return one;
    return withHidden(one, other);
  };
  const found = Object.entries(recorded).flatMap(([name, value]): [string, Json][] => {
    const one = both(live[name], value);
    return one === undefined ? [] : [[name, one]];
  });
  return { ...live, ...Object.fromEntries(found) };
}

function isHidden(text: string): boolean {
  return HIDDEN.test(text);
}

function hasHidden(value: Json): boolean {
  return JSON.stringify(value).includes('"hidden:');
}

/** Returns the parts of a text before, between and after the placeholders, which are in order. */
function partsOf(text: string, placeholders: readonly string[]): readonly string[] {
  const parts: string[] = [];
  let rest = text;
  for (const placeholder of placeholders) {
    const at = rest.indexOf(placeholder);
    parts.push(rest.slice(0, at));
    rest = rest.slice(at + placeholder.length);
  }
  return [...parts, rest];
}

/** Returns whether a text consists of the parts with at least one character between two of them. @param isCut the end of the text is missing. */
function isFilledIn([begin = '', ...parts]: readonly string[], text: string, isCut: boolean): boolean {
  if (isCut && text.length <= begin.length) return begin.startsWith(text);
  if (!text.startsWith(begin)) return false;
  let from = begin.length + 1;
  for (const [at, part] of parts.entries()) {
    if (at === parts.length - 1 && !isCut) return text.length - part.length >= from && text.endsWith(part);
    const found = text.indexOf(part, from);
    if (found < 0) return isCut;
    from = found + part.length + 1;
  }
  return true;
}
