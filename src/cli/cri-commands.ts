import { Option, type Command } from 'commander';
import type { ConformanceCommand } from './cri/conformance';
import type { DiffCommand } from './cri/diff';
import type { DiffEffectsCommand } from './cri/diff-effects';
import type { EffectsCommand } from './cri/effects';
import type { FaultCommand } from './cri/fault';
import type { RecordCommand } from './cri/record';
import type { ReplayCommand } from './cri/replay';
import type { ShowCommand } from './cri/show';

const ENDS =
  'Ends on Ctrl-C or SIGTERM. Exit code 0: the tape is complete; 1: the tape is incomplete; 2: the recording could not begin';

/** The image whose shell and tools examine the containers of --effects. */
const BUSYBOX = 'docker.io/library/busybox:1.37';

/** Adds the commands of `dockbridge cri`, for people who test any CRI runtime or kubelet. */
export function addCriCommands(program: Command): void {
  const cri = program
    .command('cri')
    .description(
      'record, show, compare, replay and disturb the calls between a kubelet and any CRI runtime (docs/harness.md)',
    );

  proxied(cri.command('record'))
    .description(`pass all calls of a kubelet on to a runtime, unchanged, and record them on a tape. ${ENDS}`)
    .requiredOption(
      '-o, --output <FILE.tape>',
      'the tape file, which only its owner can read; an existing file is not overwritten',
    )
    .addOption(unsafeFull())
    .action(async (options: RecordCommand) => {
      process.exitCode = await (await import('./cri/record.js')).record(options);
    });

  cri
    .command('show')
    .description(
      'print the calls of a tape and how long each method takes. ' +
        'Exit code 0: the tape is complete; 1: the tape is cut or damaged or lines were lost, and the readable part is shown; ' +
        '2: the file is not a tape or cannot be read',
    )
    .argument('<TAPE>', 'a tape that record has written')
    .option('--method <PATTERN>', 'only calls of these methods, such as RunPodSandbox or "*Container"')
    .option('--pod <PATTERN>', 'only calls about these pods, by name or namespace/name, such as "web-*"')
    .option('--slow <TIME>', 'only calls that took at least this long, such as 1s')
    .option('--failed', 'only calls that failed', false)
    .addOption(new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text'))
    .option(
      '--html <FILE>',
      'write a page for a browser instead of the tables; only its owner can read the file, and an existing file is not overwritten',
    )
    .action(async (tape: string, options: ShowCommand) => {
      process.exitCode = await (await import('./cri/show.js')).show(tape, options);
    });

  cri
    .command('diff')
    .description(
      'compare what two tapes tell of two runtimes, or what two endpoints do in a scenario, or with --effects what containers get on them. ' +
        'Exit code 0: the runtimes behave the same; 1: they differ, or do not what the scenario expects; 2: that cannot be said',
    )
    .argument(
      '<A>',
      'what record has written, or unix:///…; with --effects that, or what effects has written',
    )
    .argument('<B>', 'the same of the other runtime')
    .option('--scenario <NAME>', 'what is done on two endpoints: smoke, or a file of yours')
    .addOption(images())
    .option(
      '--scratch <DIR>',
      "where directories are made in place of the host's, and removed afterwards; with --effects those of volumes and logs (default: /var/tmp)",
    )
    .option('--rules <FILE.yaml>', 'which differences are none, besides those that are known of the runtimes')
    .option(
      '--effects',
      'make pods of our own on both runtimes and compare what their containers got: rights, limits, mounts, files, logs',
      false,
    )
    .addOption(busybox())
    .option('--all', 'with --effects: show what is the same, too', false)
    .option('--junit <FILE.xml>', 'a report for a CI system, besides the one on the standard output')
    .option('--html <FILE>', 'a page for a browser with both runs and what differs, besides the report')
    .addOption(new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text'))
    .action(
      async (
        a: string,
        b: string,
        options: DiffCommand & DiffEffectsCommand & { readonly effects: boolean },
      ) => {
        process.exitCode = options.effects
          ? await (await import('./cri/diff-effects.js')).diffEffects(a, b, options)
          : await (await import('./cri/diff.js')).diff(a, b, options);
      },
    );

  cri
    .command('effects')
    .description(
      'make the pods of diff --effects on one runtime and write down what their containers got, for a comparison on another machine. ' +
        'Exit code 0: it is written; 2: the runtime cannot be looked at',
    )
    .argument('<ENDPOINT>', 'the socket of the runtime, such as unix:///run/containerd/containerd.sock')
    .addOption(busybox())
    .addOption(scratch())
    .option(
      '-o, --output <FILE>',
      'what diff --effects takes in place of a socket; the standard output by default',
    )
    .action(async (endpoint: string, options: EffectsCommand) => {
      process.exitCode = await (await import('./cri/effects.js')).effects(endpoint, options);
    });

  cri
    .command('replay')
    .description(
      'make the calls of a tape again on an endpoint, compare its answers with those of the tape, and remove what was made. ' +
        'The commands of the tape run with its privileges and devices: replay only tapes that you trust. ' +
        'Exit code 0: the endpoint behaves as the tape tells; 1: it differs; 2: that cannot be said, or something is left behind',
    )
    .argument('<TAPE>', 'a tape that record has written')
    .requiredOption(
      '--to <URL>',
      'the socket of the endpoint, such as unix:///run/dockbridge/dockbridge.sock',
    )
    .addOption(
      new Option('--speed <SPEED>', 'max leaves out the pauses of the recording, 1x keeps them')
        .choices(['max', '1x'])
        .default('max'),
    )
    .option('--rules <FILE.yaml>', 'which differences are none, besides those that are known of the runtimes')
    .option('--scratch <DIR>', "where directories are made in place of the host's, and removed afterwards")
    .addOption(images())
    .option('--wait <TIME>', 'how much longer than recorded a state may take', '10s')
    .option('--incomplete', 'replay a tape that was cut or lost lines, as far as it goes', false)
    .option('--junit <FILE.xml>', 'a report for a CI system, besides the one on the standard output')
    .addOption(new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text'))
    .action(async (tape: string, options: ReplayCommand) => {
      process.exitCode = await (await import('./cri/replay.js')).replay(tape, options);
    });

  cri
    .command('conformance')
    .description(
      'run the conformance suite of dockbridge on any runtime of this machine, as root: it makes pods and images, and removes them. ' +
        'Exit code 0: all specs passed, or were skipped for a known reason; 1: a spec failed; 2: the suite is missing or could not run',
    )
    .requiredOption(
      '--endpoint <URL>',
      "the runtime's socket, such as unix:///run/containerd/containerd.sock",
    )
    .option('--run <PATTERN>', 'only specs whose name this regular expression matches, such as TestExec')
    .option('--skips <FILE>', 'a list of specs whose failures are known, besides the one of the suite')
    .option('--handler <NAME>', 'the runtime handler of all pods')
    .option(
      '--registry <ADDRESS:PORT>',
      'where the suite serves its images, for a runtime that needs to know it beforehand; by default a free port of 127.0.0.1',
    )
    .addOption(
      new Option(
        '--suite <DIR>',
        'a built suite; by default the one beside the program, or in a git tree a fresh one',
      ).env('DOCKBRIDGE_CONFORMANCE'),
    )
    .option('--junit <FILE.xml>', 'a report for a CI system, besides the one on the standard output')
    .addOption(new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text'))
    .action(async (options: ConformanceCommand) => {
      process.exitCode = await (await import('./cri/conformance.js')).conformance(options);
    });

  proxied(cri.command('fault'))
    .description(`pass calls on like record, but disturb the calls that a plan of faults names. ${ENDS}`)
    .requiredOption('--plan <FILE.yaml>', 'the plan: which calls get which fault')
    .option(
      '--seed <N>',
      'seed for probabilities; the same seed and the same calls give the same faults',
      '1',
    )
    .option('-o, --output <FILE.tape>', 'a tape of the answers that the client got, including the faults')
    .addOption(unsafeFull())
    .action(async (options: FaultCommand) => {
      process.exitCode = await (await import('./cri/fault.js')).fault(options);
    });
}

function proxied(command: Command): Command {
  return command
    .requiredOption(
      '--listen <URL>',
      'the socket to which the kubelet connects, such as unix:///run/tape.sock',
    )
    .requiredOption(
      '--upstream <URL>',
      "the runtime's socket, such as unix:///run/containerd/containerd.sock",
    );
}

function busybox(): Option {
  return new Option(
    '--busybox <REF>',
    'the image of the containers whose effects are looked at, which is pulled where it is missing',
  ).default(BUSYBOX);
}

function scratch(): Option {
  return new Option(
    '--scratch <DIR>',
    'for volumes and logs of these containers: a directory that the runtime sees at the same path (default: /var/tmp)',
  );
}

function unsafeFull(): Option {
  return new Option(
    '--unsafe-full',
    'keep secrets in the tape: credentials, environment, output of commands',
  ).default(false);
}

function images(): Option {
  return new Option(
    '--image <NAME=LOCAL>',
    'the name on the endpoint for an image of the tape or the scenario; may be repeated',
  )
    .default([] as string[])
    .argParser((pair: string, before: readonly string[]) => [...before, pair]);
}
