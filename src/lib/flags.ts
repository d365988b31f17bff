/**
 * Returns the value of `--name value` or `--name=value` on a command line. If the flag is repeated, the last value counts. The
 * value is '' for a flag without one, and undefined if the flag is missing.
 */
export function flagOf(args: readonly string[], name: string): string | undefined {
  return flagsOf(args, name).at(-1);
}

/** Returns all values of a flag that may be given more than once. */
export function flagsOf(args: readonly string[], name: string): string[] {
  return args.flatMap((arg, index) => {
    const [flag, ...rest] = arg.split('=');
    if (flag !== `--${name}` && flag !== `-${name}`) return [];
    const next = args[index + 1];
    return [rest.length > 0 ? rest.join('=') : next === undefined || next.startsWith('-') ? '' : next];
  });
}
