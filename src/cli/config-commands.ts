import { Option, type Command } from 'commander';
import { addOptions, givenOptions } from './options';

interface Output {
  readonly output: 'text' | 'json';
}

/** `dockbridge config default`, `check` and `show`. */
export function addConfigCommands(program: Command): void {
  const config = program.command('config').description('the configuration file (docs/configuration.md)');

  config
    .command('default')
    .description(
      'print a configuration file with all options, their defaults and what they do; it changes nothing',
    )
    .action(async () => {
      const { printDefaultFile } = await import('./config.js');
      printDefaultFile();
    });

  const check = config
    .command('check')
    .description(
      'say what is wrong in the configuration files, the environment and the options that are given, and where; changes nothing. ' +
        'Exit code 0: nothing; 1: warnings; 2: dockbridge would not start',
    )
    .addOption(output());
  addOptions(check);
  check.action(async (options: Output) => {
    process.exitCode = await (await import('./config.js')).checkConfig(givenOptions(check), options.output);
  });

  const show = config
    .command('show')
    .description(
      'print each option, its value and where that is from, as a dockbridge would have it that is started with this environment and these options',
    )
    .addOption(output());
  addOptions(show);
  show.action(async (options: Output) => {
    process.exitCode = await (await import('./config.js')).showConfig(givenOptions(show), options.output);
  });
}

function output(): Option {
  return new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text');
}
