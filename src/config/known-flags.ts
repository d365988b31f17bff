import { flagOf } from '../lib/flags';
import { OPTIONS, type Given, type Option } from './options';

/** The flags of a running cri-dockerd or dockbridge that the option table knows. */
export function knownFlags(args: readonly string[]): Given {
  const all: Option<unknown>[] = Object.values(OPTIONS);
  return Object.fromEntries(
    all.flatMap(({ name, value }) => {
      const text = flagOf(args, name);
      if (text === undefined) return [];
      return [[name, value === undefined && text === '' ? 'true' : text]];
    }),
  );
}
