import { parseProcCgroup } from '../../node/cgroup';
import { limit, number } from '../../node/cgroup-values';
import { effectsOf, type EffectValue, type Effects } from './effect';
import type { Sections } from './probe';

/** Returns the limits of the container's control group. The names are those of the files, which differ between cgroup v1 and v2. */
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

/** Returns a limit, or `max` for no limit. cgroup v1 represents no limit by a large number that depends on the page size. */
function value(text: string): string {
  const isUnlimited = number(text) !== undefined && limit(text) === undefined;
  return isUnlimited ? 'max' : text.trim().replace(/\s+/g, ' ');
}
