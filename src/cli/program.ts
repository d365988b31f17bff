import { Command, Option } from 'commander';
import { CONFIG, environmentName, OPTIONS, type Given, type Option as TableOption } from '../config/options';
import { DOCKBRIDGE_VERSION } from '../release';
import type { DemoOptions } from './demo';
import type { DoctorOptions } from './doctor';
import { addCriCommands } from './cri-commands';
import type { StatusOptions } from './status';

/** The command line. Each command has a file of its own, which is loaded when the command runs. */
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
    .addHelpText(
      'after',
      '\nEach option can also be set by its environment variable and, under its name, in the configuration file; the command line ' +
        'wins, then the environment (docs/configuration.md).',
    );
  addOptions(serve);
  serve.action(async (options: { buildinfo?: boolean }) => {
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
      "leave this node's pods as cri-dockerd expects them, whether dockbridge runs or not; give it the options that serve is given",
    )
    .addHelpText('after', '\nThe other options of serve are accepted too, and change nothing here.');
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
    .description('run one pod with two containers through CRI, show what happens, and remove it all')
    .option(
      '--endpoint <URL>',
      'the CRI endpoint of any runtime that runs, such as unix:///var/run/cri-dockerd.sock; else a temporary dockbridge is started',
    )
    .option(
      '--docker-endpoint <URL>',
      'the Docker Engine of the temporary one',
      'unix:///var/run/docker.sock',
    )
    .option(
      '--log-directory <DIR>',
      "where the runtime writes the pod's logs and this command reads them: a path that both see, for a runtime in a container; else a temporary one",
    )
    .addOption(smallImage())
    .action(async (options: DemoOptions) => {
      await (await import('./demo.js')).demo(options);
    });

  const check = program
    .command('switch')
    .description('take over a node from another runtime, or prepare to (docs/switching.md)')
    .command('check')
    .description(
      'say what is on this node and what a switch to dockbridge will do to each pod; changes nothing. ' +
        'Exit code 0: all as it is; 1: warnings; 2: problems, or the check could not be made',
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
      'say what is wrong with this node: kubelet, dockbridge, the Engine, CNI, disks and limits, and what to do (docs/troubleshooting.md); ' +
        'changes nothing unless it is told to run a pod. Exit code 0: all as it should be; 1: warnings; 2: something does not work, or the doctor could not look. ' +
        'If a file never answers, it ends by SIGKILL after its report. ' +
        'An option that is not given has the value that the running dockbridge has',
    )
    .addOption(output())
    .option(
      '--kubelet-config <FILE>',
      "kubelet's configuration file; by default that of the running kubelet, or /var/lib/kubelet/config.yaml",
    )
    .option('--timeout <TIME>', 'limit of one check (checks run side by side); 0 means 5s', '5s')
    .option(
      '--pod',
      'run a pod through CRI as well, and remove it: the one thing that changes something',
      false,
    )
    .addOption(smallImage())
    .option(
      '--bundle <FILE.tar.gz>',
      'write what the maintainers need besides: this report, options, versions, metrics, status, configuration files and logs, without the secrets in them; ' +
        'only its owner can read it, and nothing is overwritten',
    )
    .addHelpText('after', '\nThe other options of serve are accepted too, and change nothing here.');
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
      'show the state of the dockbridge on this node: Engine, network, logs, pods, calls in flight and the slowest; as root. ' +
        'Exit code 0: it answers, well or not; 1: it does not',
    )
    .addOption(output())
    .option('-w, --watch', 'refresh each second until Ctrl-C; with -o json, print one line each time', false)
    .addHelpText('after', '\nThe other options of serve are accepted too, and change nothing here.');
  addOptions(status, [OPTIONS.endpoint, OPTIONS.runDir]);
  status.action(async (options: StatusOptions) => {
    await (await import('./status.js')).status(ofServe(givenOptions(status)), options);
  });

  addConfigCommands(program);
  addCriCommands(program);

  program
    .command('version')
    .description('print the version')
    .action(() => {
      process.stdout.write(`${DOCKBRIDGE_VERSION}\n`);
    });
  return program;
}

/** @returns the options of `serve`, without those that only the command has. */
function ofServe(given: Given): Given {
  const theirs: readonly string[] = [CONFIG, ...Object.values<{ readonly name: string }>(OPTIONS)].map(
    ({ name }) => name,
  );
  return Object.fromEntries(Object.entries(given).filter(([name]) => theirs.includes(name)));
}

function smallImage(): Option {
  return new Option('--image <IMAGE>', 'a small image with /bin/sh; pulled when absent').default(
    'docker.io/library/busybox:stable',
  );
}

/** `dockbridge config default`, `check` and `show`. */
function addConfigCommands(program: Command): void {
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
  check.action(async (options: { output: 'text' | 'json' }) => {
    process.exitCode = await (await import('./config.js')).checkConfig(givenOptions(check), options.output);
  });

  const show = config
    .command('show')
    .description(
      'print each option with its value and where that comes from, as for a dockbridge that is started with this environment and these options',
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
 * Adds the whole option table to a command. Values stay text: config/options.ts parses them, wherever they are from.
 * @param used the options that the command uses; help lists only these. The others are accepted too, so that a command can be
 * given what `serve` is given.
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
    // cri-dockerd's switches can be given as --name or --name=false.
    const flags = value === undefined ? `--${name} [true|false]` : `--${name} <${value}>`;
    const added = new Option(flags, `${help}${shown}${note}; env ${environmentName(name)}`);
    if (value === undefined) added.preset('true');
    command.addOption(added.hideHelp(!used.includes(option)));
  }
}

/** The options that commander parsed, under their own names again. */
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
