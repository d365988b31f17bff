import { Option as CommanderOption, type Command } from 'commander';
import { CONFIG, environmentName, OPTIONS, type Given, type Option } from '../config/options';

/**
 * Adds the whole option table to a command. Values stay text: config/options.ts parses them, wherever they are from.
 * @param used the options that the command does something with; the help tells of them alone. The others are taken all the
 * same, so that a command can be given what `serve` is given.
 */
export function addOptions(
  command: Command,
  used: readonly Option<unknown>[] = Object.values(OPTIONS),
): void {
  command.addOption(
    new CommanderOption(
      `--${CONFIG.name} <${CONFIG.value}>`,
      `${CONFIG.help}; env ${environmentName(CONFIG.name)}`,
    ),
  );
  const all: Option<unknown>[] = Object.values(OPTIONS);
  for (const option of all) {
    const { name, value, fallback, help, ignored } = option;
    const note = ignored === undefined ? '' : ` [no effect: ${ignored}]`;
    const shown = fallback === '' ? '' : ` (default: ${fallback})`;
    // cri-dockerd's switches can be given as --name or --name=false.
    const flags = value === undefined ? `--${name} [true|false]` : `--${name} <${value}>`;
    const added = new CommanderOption(flags, `${help}${shown}${note}; env ${environmentName(name)}`);
    if (value === undefined) added.preset('true');
    command.addOption(added.hideHelp(!used.includes(option)));
  }
}

/** What commander parsed of those options, back under their own names. */
export function givenOptions(command: Command): Given {
  const ours: readonly string[] = [CONFIG, ...Object.values<Option<unknown>>(OPTIONS)].map(
    ({ name }) => name,
  );
  return Object.fromEntries(
    command.options.flatMap((added) => {
      const value: unknown = command.getOptionValue(added.attributeName());
      return typeof value === 'string' && ours.includes(added.name()) ? [[added.name(), value]] : [];
    }),
  );
}
