import type { Command } from 'commander';
import type { ImagesCommand } from './migrate/images';

/** Adds the commands of `dockbridge migrate`, which take a node from Docker Engine to containerd or CRI-O and back. */
export function addMigrateCommands(program: Command): void {
  const migrate = program
    .command('migrate')
    .description('move this node from Docker Engine to containerd or CRI-O, and back (docs/migrating.md)');

  addImages(migrate);
}

function addImages(migrate: Command): void {
  migrate
    .command('images')
    .description(
      "carry the Engine's images to another runtime, so that its kubelet pulls nothing; needs root. It does not change the Engine, and an interrupted command continues when it is run again. " +
        'Exit code 0: all images are there; 1: an image failed; 2: the command could not begin',
    )
    .requiredOption('--to <URL>', "the target's socket, such as unix:///run/containerd/containerd.sock")
    .option('--used', 'images of the containers of pods, running or ended (default)', false)
    .option('--only-local', 'images that are in no registry that the Engine knows', false)
    .option('--all', 'all images that have a name', false)
    .option('--dry-run', 'only print what would be done with each image', false)
    .option('--docker-endpoint <URL>', 'the Docker Engine', 'unix:///var/run/docker.sock')
    .action(async (options: ImagesCommand) => {
      process.exitCode = await (await import('./migrate/images.js')).images(options);
    });
}
