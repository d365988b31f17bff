import { invalidArgument, type RuntimeError } from '../lib/errors';

/** Who a plugin is. Plugins act in the order of their indexes. */
export interface PluginIdentity {
  /** Two digits. */
  readonly index: string;
  readonly name: string;
}

/** Returns `NN-name`, by which NRI names a plugin in logs and among the owners of a field. */
export function fullName({ index, name }: PluginIdentity): string {
  return `${index}-${name}`;
}

/** Returns what is wrong with an index or name, by NRI's rules (pkg/api/plugin.go). */
export function faultOfIdentity({ index, name }: PluginIdentity): RuntimeError | undefined {
  if (!/^[A-Za-z0-9_.+-]+$/.test(name))
    return invalidArgument(
      'plugin_name',
      `${JSON.stringify(name.slice(0, 100))} is not made of letters, digits, "_", ".", "+" and "-"`,
    );
  if (!/^[0-9]{2}$/.test(index))
    return invalidArgument('plugin_idx', `${JSON.stringify(index.slice(0, 100))} is not two digits`);
  return undefined;
}

/** Divides the name of a plugin's file, such as `10-logger`. Returns undefined when it is no such name. */
export function parseFileName(file: string): PluginIdentity | undefined {
  const [, index, name] = /^([0-9]{2})-(.*)$/s.exec(file) ?? [];
  return index === undefined || name === undefined ? undefined : { index, name };
}

/** Orders plugins by index. NRI leaves the order of equal indexes open; here it is the order of the names. */
export function compareIdentities(one: PluginIdentity, other: PluginIdentity): number {
  const [a, b] = [fullName(one), fullName(other)];
  return a < b ? -1 : a > b ? 1 : 0;
}
