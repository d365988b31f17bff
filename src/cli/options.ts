import { Option as CommanderOption, type Command } from 'commander';
import { environmentName, OPTIONS, type Given, type Option } from '../config/options';

/** Adds the whole option table to a command. Values stay text: config/options.ts parses them, wherever they are from. */
export function addOptions(command: Command): void {
  const all: Option<unknown>[] = Object.values(OPTIONS);
  for (const { name, value, fallback, help, ignored } of all) {
    const note = ignored === undefined ? '' : ` [no effect: ${ignored}]`;
    const shown = fallback === '' ? '' : ` (default: ${fallback})`;
    // cri-dockerd's switches can be given as --name or --name=false.
    const flags = value === undefined ? `--${name} [true|false]` : `--${name} <${value}>`;
    const added = new CommanderOption(flags, `${help}${shown}${note}; env ${environmentName(name)}`);
    if (value === undefined) added.preset('true');
    command.addOption(added);
  }
}

/** What commander parsed, back under the options' own names. */
export function givenOptions(command: Command): Given {
  return Object.fromEntries(
    command.options.flatMap((added) => {
      const value: unknown = command.getOptionValue(added.attributeName());
      return typeof value === 'string' ? [[added.name(), value]] : [];
    }),
  );
}
