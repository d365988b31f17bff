import { Option, type Command } from 'commander';
import type { ApplyCommand } from './migrate/apply';
import type { ImagesCommand } from './migrate/images';
import type { InventoryCommand } from './migrate/inventory';
import type { PlanCommand } from './migrate/plan';
import type { RemovePodsCommand } from './migrate/remove-pods';
import type { VerifyCommand } from './migrate/verify';
import type { PlanCommandOptions } from './migrate/with-plan';

/** The image of the pods that verify creates. */
const BUSYBOX = 'docker.io/library/busybox:1.37';

/** Adds the commands of `dockbridge migrate`, which move a node from Docker Engine to containerd or CRI-O. */
export function addMigrateCommands(program: Command): void {
  const migrate = program
    .command('migrate')
    .description('move this node from Docker Engine to containerd or CRI-O, and back (docs/migrating.md)');
  addInventory(migrate);
  addPlan(migrate);
  addImages(migrate);
  addApply(migrate);
  addRollback(migrate);
  addReady(migrate);
  addRemovePods(migrate);
  addVerify(migrate);
}

function addInventory(migrate: Command): void {
  migrate
    .command('inventory')
    .description(
      'report what stands between this node and containerd or CRI-O, and what to do about it; changes nothing. Run it as root. ' +
        'Exit code 0: nothing has to change; 2: something must change; 3: something forbids the migration; ' +
        '1: the inventory could not be taken',
    )
    .option(
      '--root <DIR>',
      "the directory that is the node's root directory, such as /host in a container",
      '/',
    )
    .option(
      '--docker-endpoint <URL>',
      "the node's Docker Engine (default: unix:///var/run/docker.sock, if there is Docker on the node)",
    )
    .option(
      '--keep-docker',
      'Docker stays on the node for containers that belong to no pod, so these do not forbid the migration',
      false,
    )
    .addOption(
      new Option('-o, --output <FORMAT>', 'text, json, junit, or html: one page for the owner of the node')
        .choices(['text', 'json', 'html', 'junit'])
        .default('text'),
    )
    .addHelpText(
      'after',
      `
Examples:
  dockbridge migrate inventory
  dockbridge migrate inventory -o html > node-7.html
  dockbridge migrate inventory -o json | jq '.findings[] | select(.severity == "block")'`,
    )
    .action(async (options: InventoryCommand) => {
      process.exitCode = await (await import('./migrate/inventory.js')).inventory(options);
    });
}

function addPlan(migrate: Command): void {
  migrate
    .command('plan')
    .description(
      'write the plan of this node: numbered steps with commands, checks and undo, the configuration of the target, and patches ' +
        'for the kubelet. Changes nothing on the node. Run it as root. ' +
        'Exit code 0: the plan is written; 3: something forbids the migration, and no plan is written; 1: no plan can be made',
    )
    .addOption(
      new Option('--to <TARGET>', 'what takes the place of Docker Engine')
        .choices(['containerd', 'cri-o'])
        .makeOptionMandatory(),
    )
    .requiredOption('--out <DIR>', 'the directory of the plan, which must be missing or empty')
    .option(
      '--root <DIR>',
      "the directory that is the node's root directory, such as /host in a container",
      '/',
    )
    .option('--docker-endpoint <URL>', "the node's Docker Engine (default: unix:///var/run/docker.sock)")
    .option('--keep-docker', 'Docker stays on the node for containers that belong to no pod', false)
    .addOption(
      repeatable(
        '--accept <ID>',
        'plan although the inventory has this finding that forbids the migration; may be repeated',
      ),
    )
    .addHelpText(
      'after',
      `
Examples:
  dockbridge migrate plan --to containerd --out /root/to-containerd
  dockbridge migrate plan --to cri-o --out /root/to-crio --keep-docker

In the directory:
  plan.md    what to do, step by step
  plan.json  the same for programs, with hashes of all files
  files/     the new files, each at its path on the node
  patches/   what changes in files that exist`,
    )
    .action(async (options: PlanCommand) => {
      process.exitCode = await (await import('./migrate/plan.js')).plan(options);
    });
}

function addImages(migrate: Command): void {
  migrate
    .command('images')
    .description(
      "carry the Engine's images to another runtime, so that kubelet need not pull them again; needs root. The command does not change the Engine, and continues after an interruption when it is run again. " +
        'Exit code 0: all images are there, except for those that are reported as skipped; 1: an image failed, or the command was interrupted; 2: the command could not begin',
    )
    .requiredOption('--to <URL>', "the target's socket, such as unix:///run/containerd/containerd.sock")
    .option(
      '--used',
      'images of the containers of pods, running or ended; chosen if no other choice is given',
    )
    .option('--only-local', 'images that are in no registry that the Engine knows', false)
    .option('--all', 'all images that have a name', false)
    .option('--dry-run', 'only print what would be done with each image', false)
    .option('--docker-endpoint <URL>', 'the Docker Engine', 'unix:///var/run/docker.sock')
    .action(async (options: ImagesCommand) => {
      process.exitCode = await (await import('./migrate/images.js')).images(options);
    });
}

/** The exit codes of `apply` and `rollback`. */
function failures(refusals: string): string {
  return `1: a step failed, or the plan cannot be read; 3: refused, because ${refusals}; 130: you have ended it`;
}

const NOT_THIS_PLAN =
  'the plan is for another node, its directory is not safe, or another apply or rollback is running';

function addApply(migrate: Command): void {
  const command = migrate
    .command('apply')
    .description(
      'do the steps of a plan on this node. Each step is checked afterwards. A journal in the directory of the plan records what is done, ' +
        'so that an interrupted command continues when it is run again. Needs root. Does not reboot the node and does not remove Docker. ' +
        `Exit code 0: the steps are done; 4: drain the node first; ${failures(`the node has changed since the plan was made, ${NOT_THIS_PLAN}`)}`,
    );
  addPlanOptions(command, 'the last step to do, by its number or id; by default all');
  command
    .option('--drained', 'the node is drained; only needed without --kubeconfig', false)
    .addOption(
      repeatable(
        '--accept-change <PATH>',
        'go on although this file has changed since the plan was made; may be repeated',
      ),
    )
    .addOption(
      repeatable(
        '--skip <STEP>',
        'leave out this step, which you name by its number or id, because you did it by hand or do without it; may be repeated',
      ),
    )
    .addHelpText(
      'after',
      `
Examples:
  dockbridge migrate apply --plan /root/to-containerd
  dockbridge migrate apply --plan /root/to-containerd --drained
  dockbridge migrate apply --plan /root/to-containerd --kubeconfig /root/admin.conf
  dockbridge migrate apply --plan /root/to-containerd --step images`,
    )
    .action(async (options: ApplyCommand) => {
      process.exitCode = await (await import('./migrate/apply.js')).apply(options);
    });
}

function addRollback(migrate: Command): void {
  const command = migrate
    .command('rollback')
    .description(
      'take back the steps of a plan that apply has done on this node, the last one first. Needs root. ' +
        `Exit code 0: they are taken back; ${failures(NOT_THIS_PLAN)}`,
    );
  addPlanOptions(
    command,
    'the first step to take back, by its number or id: the node is then as before this step; by default all',
  );
  command
    .addOption(repeatable('--skip <STEP>', 'do not take back this step; may be repeated'))
    .action(async (options: PlanCommandOptions) => {
      process.exitCode = await (await import('./migrate/rollback.js')).rollback(options);
    });
}

function addPlanOptions(command: Command, step: string): void {
  command
    .requiredOption('--plan <DIR>', 'the directory of the plan')
    .option('--step <STEP>', step)
    .option(
      '--kubeconfig <FILE>',
      'run the lines for kubectl with this file; without it, they are printed for you',
    )
    .option('--systemctl <PROGRAM>', 'called instead of systemctl, with the same arguments', 'systemctl');
}

function repeatable(flags: string, description: string): Option {
  return new Option(flags, description)
    .default([] as string[], 'none')
    .argParser((value: string, before: readonly string[]) => [...before, value]);
}

function addReady(migrate: Command): void {
  migrate
    .command('ready')
    .description(
      'ask a runtime through CRI whether a kubelet can use it: RuntimeReady and NetworkReady. Exit code 0: it can; 1: it cannot, or does not answer',
    )
    .requiredOption(
      '--endpoint <URL>',
      "the runtime's socket, such as unix:///run/containerd/containerd.sock",
    )
    .action(async (options: { readonly endpoint: string }) => {
      process.exitCode = await (await import('./migrate/ready.js')).ready(options);
    });
}

function addRemovePods(migrate: Command): void {
  migrate
    .command('remove-pods')
    .description(
      'remove all pods of a runtime through CRI, so that CNI gives back their addresses and host ports. Stop the kubelet before, which would make them again. ' +
        'Exit code 0: no pod is left; 1: a pod could not be removed, or the runtime does not answer',
    )
    .requiredOption('--endpoint <URL>', "the runtime's socket, such as unix:///var/run/cri-dockerd.sock")
    .option('--dry-run', 'only list the pods', false)
    .action(async (options: RemovePodsCommand) => {
      process.exitCode = await (await import('./migrate/remove-pods.js')).removePods(options);
    });
}

function addVerify(migrate: Command): void {
  migrate
    .command('verify')
    .description(
      'compare two runtimes on this node: what they answer about themselves, whether the images and handlers of the pods of A are on B, ' +
        'and what the same test pods find inside on each (users, capabilities, limits, seccomp, mounts, name resolution, logs). ' +
        'Run it as root while the kubelet is stopped, because a kubelet removes pods that it does not know. ' +
        'The test pods are removed, also after Ctrl-C. ' +
        'Exit code 0: there are only expected differences; 2: there are others; 1: the runtimes could not be compared',
    )
    .requiredOption(
      '--a <URL>',
      'the socket of the present runtime, such as unix:///var/run/cri-dockerd.sock',
    )
    .requiredOption(
      '--b <URL>',
      'the socket of the new runtime, such as unix:///run/containerd/containerd.sock',
    )
    .option(
      '--busybox <REF>',
      'the image of the test pods, which must have the tools of busybox; a runtime that lacks it pulls it',
      BUSYBOX,
    )
    .option(
      '--scratch <DIR>',
      "a directory for the pods' volumes and logs, which both runtimes see at the same path (default: /var/tmp)",
    )
    .addOption(new Option('-o, --output <FORMAT>', 'text or json').choices(['text', 'json']).default('text'))
    .addHelpText(
      'after',
      `
Examples:
  dockbridge migrate verify --a unix:///var/run/cri-dockerd.sock --b unix:///run/containerd/containerd.sock
  dockbridge migrate verify --a … --b … -o json | jq '.findings[] | select(.severity == "block")'`,
    )
    .action(async (options: VerifyCommand) => {
      process.exitCode = await (await import('./migrate/verify.js')).verify(options);
    });
}
