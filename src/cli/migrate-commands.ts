import { Option, type Command } from 'commander';
import type { InventoryCommand } from './migrate/inventory';

/** Adds the commands of `dockbridge migrate`, which take a node from Docker Engine to containerd or CRI-O and back. */
export function addMigrateCommands(program: Command): void {
  const migrate = program
    .command('migrate')
    .description('move this node from Docker Engine to containerd or CRI-O, and back (docs/migrating.md)');
  addInventory(migrate);
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
