import { OPTIONS, type Given, type Option } from '../../config/options';

/** The value of `--name value` or `--name=value`; the last one counts, '' for a bare switch. */
export function flagOf(args: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  args.forEach((arg, index) => {
    const [flag, ...rest] = arg.split('=');
    if (flag !== `--${name}` && flag !== `-${name}`) return;
    const next = args[index + 1];
    found = rest.length > 0 ? rest.join('=') : next === undefined || next.startsWith('-') ? '' : next;
  });
  return found;
}

/** The flags of a running cri-dockerd that dockbridge knows too. */
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
