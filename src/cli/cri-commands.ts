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
  'Ends on Ctrl-C or SIGTERM. Exit code 0: the tape is complete; 1: the tape is incomplete; 2: the command could not start';

/** The default image of the containers that `effects` and `diff --effects` create. Its tools examine a container from inside. */
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
        'Exit code 0: the tape is complete; 1: the tape is incomplete or damaged, and the readable part is shown; ' +
        '2: the file is not a tape or cannot be read',
    )
    .argument('<TAPE>', 'a tape written by record')
    .option('--method <PATTERN>', 'show only calls of these methods, such as RunPodSandbox or "*Container"')
    .option('--pod <PATTERN>', 'show only calls about these pods, by name or namespace/name, such as "web-*"')
    .option('--slow <TIME>', 'show only calls that took at least this long, such as 1s')
    .option('--failed', 'show only calls that failed', false)
    .addOption(new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text'))
    .option(
      '--html <FILE>',
      'write an HTML page instead of the tables; only its owner can read the file, and an existing file is not overwritten',
    )
    .action(async (tape: string, options: ShowCommand) => {
      process.exitCode = await (await import('./cri/show.js')).show(tape, options);
    });

  cri
    .command('diff')
    .description(
      'compare two runtimes: by the calls on two tapes, by a scenario that runs on two endpoints, or with --effects by what containers are given. ' +
        'Exit code 0: the runtimes behave the same; 1: they differ, or do not do what the scenario expects; 2: they could not be compared',
    )
    .argument(
      '<A>',
      'a tape written by record, or a socket (unix:///…); with --effects a socket, or a file written by effects',
    )
    .argument('<B>', 'the same for the other runtime')
    .option('--scenario <NAME>', 'the steps to run on two endpoints: smoke, or a scenario file')
    .addOption(images())
    .option(
      '--scratch <DIR>',
      'the directory for temporary files that replace host paths; with --effects for volumes and logs (default: /var/tmp). The files are removed at the end',
    )
    .addOption(rules())
    .option(
      '--effects',
      'create the same pods on both runtimes and compare what their containers are given: rights, limits, mounts, files, logs',
      false,
    )
    .addOption(busybox())
    .option('--all', 'with --effects: also show what is equal', false)
    .addOption(junit())
    .option('--html <FILE>', 'also write an HTML page with both runs and their differences')
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
      'create the pods of diff --effects on one runtime and write what their containers were given to a file, for a comparison on another machine. ' +
        'Exit code 0: the file is written; 2: the runtime could not be examined',
    )
    .argument('<ENDPOINT>', 'the socket of the runtime, such as unix:///run/containerd/containerd.sock')
    .addOption(busybox())
    .addOption(scratch())
    .option(
      '-o, --output <FILE>',
      'the file to write, which diff --effects accepts in place of a socket (default: standard output)',
    )
    .action(async (endpoint: string, options: EffectsCommand) => {
      process.exitCode = await (await import('./cri/effects.js')).effects(endpoint, options);
    });

  cri
    .command('replay')
    .description(
      'make the calls of a tape again on an endpoint, compare its answers with those on the tape, and remove everything that was created. ' +
        'The commands on the tape run with the privileges and devices that the tape gives them: replay only tapes that you trust. ' +
        'Exit code 0: the endpoint behaves as recorded; 1: it differs; 2: they could not be compared, or something was left behind',
    )
    .argument('<TAPE>', 'a tape written by record')
    .requiredOption(
      '--to <URL>',
      'the socket of the endpoint, such as unix:///run/dockbridge/dockbridge.sock',
    )
    .addOption(
      new Option('--speed <SPEED>', 'max leaves out the pauses of the recording, 1x keeps them')
        .choices(['max', '1x'])
        .default('max'),
    )
    .addOption(rules())
    .option(
      '--scratch <DIR>',
      'the directory for temporary files that replace host paths. The files are removed at the end',
    )
    .addOption(images())
    .option(
      '--wait <TIME>',
      'how long to wait for a recorded state or an answer in addition to the recorded time (docs/harness.md)',
      '10s',
    )
    .option('--incomplete', 'replay the readable part of a tape that was cut off or has lost lines', false)
    .addOption(junit())
    .addOption(new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text'))
    .action(async (tape: string, options: ReplayCommand) => {
      process.exitCode = await (await import('./cri/replay.js')).replay(tape, options);
    });

  cri
    .command('conformance')
    .description(
      'run the conformance suite of dockbridge as root on any runtime of this machine. The suite removes the pods and images that it creates. ' +
        'Exit code 0: all specs passed, or were skipped for a known reason; 1: a spec failed; 2: the suite is missing or could not run',
    )
    .requiredOption(
      '--endpoint <URL>',
      "the runtime's socket, such as unix:///run/containerd/containerd.sock",
    )
    .option('--run <PATTERN>', 'run only specs whose name matches this regular expression, such as TestExec')
    .option('--skips <FILE>', "a list of specs with known failures, in addition to the suite's own list")
    .option('--handler <NAME>', 'the runtime handler of all pods')
    .option(
      '--registry <ADDRESS:PORT>',
      "the address of the suite's image registry, for a runtime in which it must be configured (default: a free port of 127.0.0.1)",
    )
    .addOption(
      new Option(
        '--suite <DIR>',
        'a built suite (default: in a git tree a fresh build, otherwise the suite next to the program)',
      ).env('DOCKBRIDGE_CONFORMANCE'),
    )
    .addOption(junit())
    .addOption(new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text'))
    .action(async (options: ConformanceCommand) => {
      process.exitCode = await (await import('./cri/conformance.js')).conformance(options);
    });

  proxied(cri.command('fault'))
    .description(`pass calls on to a runtime, and inject faults into the calls that a plan selects. ${ENDS}`)
    .requiredOption('--plan <FILE.yaml>', 'the plan, which says which calls get which fault')
    .option(
      '--seed <N>',
      'the seed for probabilities; the same seed and the same calls give the same faults',
      '1',
    )
    .option(
      '-o, --output <FILE.tape>',
      'write a tape with the answers that the client received and the faults',
    )
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
    'for effects and diff --effects: the image of the containers; a runtime that lacks the image pulls it',
  ).default(BUSYBOX);
}

function scratch(): Option {
  return new Option(
    '--scratch <DIR>',
    "a directory for the containers' volumes and logs, which the runtime sees at the same path (default: /var/tmp)",
  );
}

function unsafeFull(): Option {
  return new Option(
    '--unsafe-full',
    'do not hide secrets: the tape contains credentials, environment variables and the output of commands',
  ).default(false);
}

function rules(): Option {
  return new Option(
    '--rules <FILE.yaml>',
    "rules for differences to allow, in addition to dockbridge's own rules for these runtimes",
  );
}

function junit(): Option {
  return new Option('--junit <FILE.xml>', 'also write a JUnit report for a CI system');
}

function images(): Option {
  return new Option(
    '--image <NAME=LOCAL>',
    'use the image LOCAL on the endpoint wherever the tape or the scenario names the image NAME; can be repeated',
  )
    .default([] as string[])
    .argParser((pair: string, before: readonly string[]) => [...before, pair]);
}
