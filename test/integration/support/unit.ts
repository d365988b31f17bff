import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Returns the settings in a unit's section as systemd has them after reading these files in order: the unit,
 * then its drop-ins. Each key has all its values, and an empty value removes the earlier ones.
 */
export function readUnit(section: string, files: readonly string[]): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  for (const file of files) {
    let current = '';
    for (const line of readFileSync(file, 'utf8').replace(/\\\n/g, ' ').split('\n')) {
      current = /^\[(.+)\]$/.exec(line)?.[1] ?? current;
      const [, key, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
      if (key === undefined || value === undefined || current !== section) continue;
      settings.set(key, value === '' ? [] : [...(settings.get(key) ?? []), value.trim()]);
    }
  }
  return settings;
}

/** Returns the only command of a key such as ExecStart=, split into words by systemd's quoting rules. */
export function commandOf(
  settings: Map<string, string[]>,
  key: string,
): [program: string, ...words: string[]] {
  const values = settings.get(key) ?? [];
  const [value] = values;
  if (value === undefined || values.length > 1) throw new Error(`${key}= has ${values.length} commands`);
  const words = [...value.matchAll(/(?:"[^"]*"|[^\s"])+/g)].map(([word]) => word.replaceAll('"', ''));
  const [program, ...rest] = words;
  if (program === undefined || basename(program) === program)
    throw new Error(`${key}= names no program: ${value}`);
  return [program, ...rest];
}
