import { cgroupEffects } from './cgroup-effects';
import type { EffectValue } from './effect';
import { mountEffects } from './mount-effects';
import type { Sections } from './probe';
import { processEffects } from './process-effects';
import { surroundingsEffects } from './surroundings-effects';

/**
 * Returns the effects that a probe of one container shows. Namespaces and the log are not among them: namespaces are compared with those
 * of other containers, and the log is read on the node.
 * @param scratch the name of the directory with the sources of the scenario's mounts.
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

/** Texts that differ between runs, such as ids, with their placeholders. If one text contains another, the longer one must come first. */
export type Names = readonly (readonly [text: string, name: string])[];

/** Replaces ids, addresses and paths of the run by placeholders, in the names and the values of effects. */
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
