/** What was seen: a text, or a set of texts whose order has no meaning. */
export type EffectValue = string | readonly string[];

/**
 * What a container really got, by names such as `process.uid` or `mount /dev/shm`. A name that is missing means that the
 * container has no such thing, or that it could not be read.
 */
export type Effects = ReadonlyMap<string, EffectValue>;

export interface ContainerEffects {
  /** `pod/container` of the scenario. */
  readonly container: string;
  readonly effects: Effects;
}

/** What was seen of one runtime. */
export interface SeenRuntime {
  /** The address of its socket. */
  readonly source: string;
  /** As Version told it. */
  readonly runtime: { readonly name: string; readonly version: string };
  readonly containers: readonly ContainerEffects[];
}

/** Leaves out effects without a value. */
export function effectsOf(
  entries: readonly (readonly [name: string, value: EffectValue | undefined])[],
): Map<string, EffectValue> {
  const told = entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return new Map(told);
}
