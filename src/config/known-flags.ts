import { flagOf } from '../lib/flags';
import { CONFIG, OPTIONS, type Given, type Option } from './options';

/** Returns the flags of a running cri-dockerd or dockbridge that the option table knows, and the flag that names the file. */
export function knownFlags(args: readonly string[]): Given {
  const all: Pick<Option<unknown>, 'name' | 'value'>[] = [CONFIG, ...Object.values(OPTIONS)];
  return Object.fromEntries(
    all.flatMap(({ name, value }) => {
      const text = flagOf(args, name);
      if (text === undefined) return [];
      return [[name, value === undefined && text === '' ? 'true' : text]];
    }),
  );
}
