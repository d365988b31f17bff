import type { Command } from 'commander';

/** Adds the commands of `dockbridge migrate`, which take a node from Docker Engine to containerd or CRI-O and back. */
export function addMigrateCommands(program: Command): void {
  program
    .command('migrate')
    .description('move this node from Docker Engine to containerd or CRI-O, and back (docs/migrating.md)');
}
