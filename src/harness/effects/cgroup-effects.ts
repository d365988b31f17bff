import { parseProcCgroup } from '../../node/cgroup';
import { limit, number } from '../../node/cgroup-values';
import { effectsOf, type EffectValue, type Effects } from './effect';
import type { Sections } from './probe';

/** Limits of the container's control group. Both versions of cgroups have their own names: they are not the same thing. */
export function cgroupEffects(sections: Sections): Effects {
  const entries = [...sections].flatMap(([name, text]): [string, EffectValue][] => {
    const [, file] = /^cgroup[12]\.(?:\w+\/)?(.+)$/.exec(name) ?? [];
    if (file === undefined) return [];
    return [[`cgroup ${file}`, file === 'devices.list' ? lines(text) : value(text)]];
  });
  const paths = parseProcCgroup(sections.get('main.cgroup') ?? '');
  return effectsOf([...entries, ['cgroup path', [...new Set(paths.values())]]]);
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** v1 writes "no limit" as a large number that depends on the size of a page. */
function value(text: string): string {
  const isUnlimited = number(text) !== undefined && limit(text) === undefined;
  return isUnlimited ? 'max' : text.trim().replace(/\s+/g, ' ');
}
