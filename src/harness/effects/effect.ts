/** The value of an effect: a text, or a set of texts whose order has no meaning. */
export type EffectValue = string | readonly string[];

/**
 * The effects of a container, by names such as `uid` or `mount /dev/shm`: properties that it was actually given. If a name is missing, the
 * container does not have this property, or the property could not be read.
 */
export type Effects = ReadonlyMap<string, EffectValue>;

export interface ContainerEffects {
  /** `pod/container` of the scenario. */
  readonly container: string;
  readonly effects: Effects;
}

/** What the containers of the scenario were given on one runtime. */
export interface SeenRuntime {
  /** The address of its socket. */
  readonly source: string;
  /** As the runtime reported it in Version. */
  readonly runtime: { readonly name: string; readonly version: string };
  readonly containers: readonly ContainerEffects[];
}

/** Returns the effects that have a value. */
export function effectsOf(
  entries: readonly (readonly [name: string, value: EffectValue | undefined])[],
): Map<string, EffectValue> {
  const told = entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return new Map(told);
}
