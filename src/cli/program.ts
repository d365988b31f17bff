import { Command, Option } from 'commander';
import { CONFIG, environmentName, OPTIONS, type Given, type Option as TableOption } from '../config/options';
import { nearest } from '../lib/nearest';
import { DOCKBRIDGE_VERSION } from '../release';
import type { DemoOptions } from './demo';
import type { DoctorOptions } from './doctor';
import { addCriCommands } from './cri-commands';
import { addMigrateCommands } from './migrate-commands';
import type { StatusOptions } from './status';

/** Makes the command line. Each command has a file of its own, which is loaded when the command runs. */
export function createProgram(): Command {
  const program = new Command('dockbridge')
    .description(
      'Kubernetes on Docker Engine: serves CRI (runtime.v1) to kubelet and drives the Docker Engine API.',
    )
    .version(DOCKBRIDGE_VERSION, '--version', 'print the version')
    .showHelpAfterError('(dockbridge --help explains all options)')
    .enablePositionalOptions();

  const serve = program
    .command('serve', { isDefault: true })
    .description('serve CRI until stopped (the default command)')
    .option('--buildinfo', 'print version and platform, then exit')
    // Excess words are refused by name below, because most of them are misspelled commands.
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nEach option can also be set by its environment variable and, under its name, in the configuration file. The command line ' +
        'overrides the environment, and the environment overrides the file (docs/configuration.md).',
    );
  addOptions(serve);
  serve.action(async (options: { buildinfo?: boolean }) => {
    refuseWords(program, serve);
    if (options.buildinfo === true) {
      process.stdout.write(
        `dockbridge ${DOCKBRIDGE_VERSION} node ${process.version} ${process.platform}/${process.arch}\n`,
      );
      return;
    }
    await (await import('./serve.js')).serve(givenOptions(serve));
  });

  const handOver = program
    .command('hand-over')
    .description(
      "leave this node's pods as cri-dockerd expects them, whether or not dockbridge is running; use the same options as for serve",
    )
    .addHelpText('after', '\nThe other options of serve are accepted too, but have no effect here.');
  addOptions(handOver, [
    OPTIONS.dockerEndpoint,
    OPTIONS.stateDir,
    OPTIONS.runDir,
    OPTIONS.containerLogs,
    OPTIONS.criDockerdRootDirectory,
    OPTIONS.dockershimRootDirectory,
    OPTIONS.sandboxCheckpoints,
  ]);
  handOver.action(async () => {
    await (await import('./hand-over.js')).handOver(givenOptions(handOver));
  });

  program
    .command('demo')
    .description('run one pod with two containers through CRI, show what happens, and remove the pod')
    .option(
      '--endpoint <URL>',
      'the CRI endpoint of a running runtime of any kind, such as unix:///var/run/cri-dockerd.sock; by default a temporary dockbridge is started',
    )
    .option(
      '--docker-endpoint <URL>',
      'the Docker Engine for the temporary dockbridge',
      'unix:///var/run/docker.sock',
    )
    .option(
      '--log-directory <DIR>',
      "directory in which the runtime writes the pod's logs and this command reads them; both must see this path, which matters for a runtime in a container; by default a temporary directory",
    )
    .addOption(smallImage())
    .action(async (options: DemoOptions) => {
      await (await import('./demo.js')).demo(options);
    });

  const check = program
    .command('switch')
    .description('prepare to take over a node from another runtime (docs/switching.md)')
    .command('check')
    .description(
      'report what is on this node and what a switch to dockbridge will do to each pod; changes nothing. ' +
        'Exit code 0: no warnings; 1: warnings; 2: problems, or the check could not be made',
    )
    .addOption(output());
  addOptions(check);
  check.action(async (options: { output: 'text' | 'json' }) => {
    process.exitCode = await (
      await import('./switch-check.js')
    ).switchCheck(givenOptions(check), options.output);
  });

  const doctor = program
    .command('doctor')
    .description(
      'report what is wrong with kubelet, dockbridge, the Engine, CNI, disks and limits of this node, and what to do (docs/troubleshooting.md); ' +
        'changes nothing unless it runs a pod. Exit code 0: no warnings; 1: warnings; 2: something does not work, or the examination was not possible. ' +
        'If a file call hangs, the command ends by SIGKILL after its report. ' +
        'An option that is not given has the value of the running dockbridge',
    )
    .addOption(output())
    .option(
      '--kubelet-config <FILE>',
      "kubelet's configuration file; by default the file of the running kubelet, or /var/lib/kubelet/config.yaml",
    )
    .option('--timeout <TIME>', 'time limit of one check (checks run at the same time); 0 means 5s', '5s')
    .option(
      '--pod',
      'also run a pod through CRI, and remove it; this is the only check that changes something',
      false,
    )
    .addOption(smallImage())
    .option(
      '--bundle <FILE.tar.gz>',
      'also write a bundle for the maintainers: this report, options, versions, metrics, status, configuration files and logs, without the secrets in them; ' +
        'only its owner can read the file, and an existing file is not overwritten',
    )
    .addHelpText('after', '\nThe other options of serve are accepted too, but have no effect here.');
  addOptions(doctor, [
    OPTIONS.endpoint,
    OPTIONS.dockerEndpoint,
    OPTIONS.stateDir,
    OPTIONS.podInfraContainerImage,
    OPTIONS.networkPlugin,
    OPTIONS.cniConfDir,
    OPTIONS.cniBinDir,
  ]);
  doctor.action(async (options: DoctorOptions) => {
    await (await import('./doctor.js')).doctor(ofServe(givenOptions(doctor)), options);
  });

  const status = program
    .command('status')
    .description(
      'show the state of the dockbridge on this node: Engine, network, logs, pods, and the calls in flight with the slowest first; needs root. ' +
        'Exit code 0: dockbridge answers, even if it reports problems; 1: it does not answer',
    )
    .addOption(output())
    .option('-w, --watch', 'refresh each second until Ctrl-C; with -o json, print one line each time', false)
    .addHelpText('after', '\nThe other options of serve are accepted too, but have no effect here.');
  addOptions(status, [OPTIONS.endpoint, OPTIONS.runDir]);
  status.action(async (options: StatusOptions) => {
    await (await import('./status.js')).status(ofServe(givenOptions(status)), options);
  });

  addConfigCommands(program);
  addCriCommands(program);
  addMigrateCommands(program);

  program
    .command('version')
    .description('print the version')
    .action(() => {
      process.stdout.write(`${DOCKBRIDGE_VERSION}\n`);
    });
  return program;
}

/**
 * Ends the process if a word on the command line is not a command, such as `doctr`. `serve` gets all such words, because it is
 * the default command.
 */
function refuseWords(program: Command, serve: Command): void {
  const [word] = serve.args;
  if (word === undefined) return;
  if (program.args[0] === serve.name()) program.error(`error: serve takes only options, but got "${word}"`);
  const meant = nearest(
    word,
    program.commands.map((command) => command.name()),
  );
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  program.error(`error: there is no command "${word}"${hint}`, { code: 'commander.unknownCommand' });
}

/** @returns those of the given options that `serve` has, too. */
function ofServe(given: Given): Given {
  const theirs: readonly string[] = [CONFIG, ...Object.values<{ readonly name: string }>(OPTIONS)].map(
    ({ name }) => name,
  );
  return Object.fromEntries(Object.entries(given).filter(([name]) => theirs.includes(name)));
}

function smallImage(): Option {
  return new Option('--image <IMAGE>', 'a small image with /bin/sh; it is pulled when it is missing').default(
    'docker.io/library/busybox:stable',
  );
}

/** Adds `dockbridge config default`, `check` and `show`. */
function addConfigCommands(program: Command): void {
  const config = program
    .command('config')
    .description('print or check the configuration (docs/configuration.md)');

  config
    .command('default')
    .description(
      'print a configuration file that contains all options with their defaults and explanations as comments',
    )
    .action(async () => {
      const { printDefaultFile } = await import('./config.js');
      printDefaultFile();
    });

  const check = config
    .command('check')
    .description(
      'report the mistakes in the configuration files, the environment and the given options, and their places; changes nothing. ' +
        'Exit code 0: no mistakes; 1: warnings; 2: dockbridge would not start',
    )
    .addOption(output());
  addOptions(check);
  check.action(async (options: { output: 'text' | 'json' }) => {
    process.exitCode = await (await import('./config.js')).checkConfig(givenOptions(check), options.output);
  });

  const show = config
    .command('show')
    .description(
      'print each option with its value and the source of the value, as for a dockbridge that is started with this environment and these options',
    )
    .addOption(output());
  addOptions(show);
  show.action(async (options: { output: 'text' | 'json' }) => {
    process.exitCode = await (await import('./config.js')).showConfig(givenOptions(show), options.output);
  });
}

function output(): Option {
  return new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text');
}

/**
 * Adds the whole option table to a command. Values stay text, because config/options.ts parses the values from all sources.
 * @param used the options that the command uses; help lists only these. The others are accepted too, so that a command accepts
 * all options of `serve`.
 */
function addOptions(command: Command, used: readonly TableOption<unknown>[] = Object.values(OPTIONS)): void {
  command.addOption(
    new Option(`--${CONFIG.name} <${CONFIG.value}>`, `${CONFIG.help}; env ${environmentName(CONFIG.name)}`),
  );
  const all: TableOption<unknown>[] = Object.values(OPTIONS);
  for (const option of all) {
    const { name, value, fallback, help, ignored } = option;
    const note = ignored === undefined ? '' : ` [no effect: ${ignored}]`;
    const shown = fallback === '' ? '' : ` (default: ${fallback})`;
    // A switch may be given as --name or as --name=false, as with cri-dockerd.
    const flags = value === undefined ? `--${name} [true|false]` : `--${name} <${value}>`;
    const added = new Option(flags, `${help}${shown}${note}; env ${environmentName(name)}`);
    if (value === undefined) added.preset('true');
    command.addOption(added.hideHelp(!used.includes(option)));
  }
}

/** Returns the options that commander has parsed, under their own names. */
function givenOptions(command: Command): Given {
  const ours: readonly string[] = [CONFIG, ...Object.values<TableOption<unknown>>(OPTIONS)].map(
    ({ name }) => name,
  );
  return Object.fromEntries(
    command.options.flatMap((added) => {
      const value: unknown = command.getOptionValue(added.attributeName());
      return typeof value === 'string' && ours.includes(added.name()) ? [[added.name(), value]] : [];
    }),
  );
}
