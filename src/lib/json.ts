export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses a JSON object. Returns undefined for text that is not a JSON object. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/**
 * Whether a value of unknown origin has all properties of the example, with the same types. In the example, the first element
 * of a list stands for all elements, and an empty object stands for an object with any keys and strings as values.
 */
export function hasShapeOf(value: unknown, example: unknown): boolean {
  if (Array.isArray(example)) {
    const [element] = example as readonly unknown[];
    return Array.isArray(value) && value.every((one) => hasShapeOf(one, element));
  }
  if (typeof example !== 'object' || example === null) return typeof value === typeof example;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const parts = value as Readonly<Record<string, unknown>>;
  const expected = Object.entries(example);
  if (expected.length === 0) return Object.values(parts).every((part) => typeof part === 'string');
  return expected.every(([key, part]) => hasShapeOf(parts[key], part));
}
