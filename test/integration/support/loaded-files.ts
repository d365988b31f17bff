import { join } from 'node:path';
import { Command } from './command';

/**
 * Starts `serve` without an Engine, and ends it once it serves. Returns the paths of the CommonJS modules that its main thread
 * has loaded.
 * @param directory for the files of the daemon.
 */
export async function filesLoadedByServe(
  directory: string,
  dockbridge?: readonly string[],
): Promise<string[]> {
  const daemon = new Command(
    [
      ...['serve', '--container-runtime-endpoint', `unix://${join(directory, 'cri.sock')}`],
      ...['--docker-endpoint', `unix://${join(directory, 'none.sock')}`, '--network-plugin', 'no-op'],
      ...['--state-dir', join(directory, 'state'), '--run-dir', join(directory, 'run')],
    ],
    { NODE_OPTIONS: `--require=${join(__dirname, 'print-loaded-files.cjs')}` },
    [],
    dockbridge,
  );
  try {
    await daemon.says('Serving CRI');
  } finally {
    daemon.signal('SIGTERM');
    await daemon.exit();
  }
  return JSON.parse(daemon.stdout) as string[];
}
