import { cgroupEffects } from './cgroup-effects';
import type { EffectValue } from './effect';
import { mountEffects } from './mount-effects';
import type { Sections } from './probe';
import { processEffects } from './process-effects';
import { surroundingsEffects } from './surroundings-effects';

/**
 * What a probe saw, by effects, but for namespaces, which only other containers can explain, and the log.
 * @param scratch name of the directory with the sources of the scenario's mounts.
 */
export function probedEffects(sections: Sections, scratch: string): Map<string, EffectValue> {
  return new Map([
    ...processEffects(sections, 'main'),
    ...processEffects(sections, 'exec'),
    ...mountEffects(sections.get('mountinfo') ?? '', scratch),
    ...cgroupEffects(sections),
    ...surroundingsEffects(sections),
  ]);
}

/** What is another one in each run: a text and what stands for it. The longer of two that begin alike must come first. */
export type Names = readonly (readonly [text: string, name: string])[];

/** Replaces ids, addresses and paths that are a run's own, in names and in values. */
export function withoutNames(
  effects: ReadonlyMap<string, EffectValue>,
  names: Names,
): Map<string, EffectValue> {
  const known = names.filter(([text]) => text !== '');
  const rename = (text: string): string =>
    known.reduce((renamed, [own, name]) => renamed.replaceAll(own, name), text);
  return new Map(
    [...effects].map(([name, value]) => [
      rename(name),
      typeof value === 'string' ? rename(value) : value.map(rename),
    ]),
  );
}
