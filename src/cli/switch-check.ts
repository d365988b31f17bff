import { knownFlags, loadConfiguration } from '../config/configuration';
import type { Given } from '../config/options';
import { DockerodeClient } from '../docker/dockerode-client';
import { readOnly } from '../docker/decorators';
import { messageOf } from '../lib/errors';
import { findProcesses } from '../node/process/node-processes';
import { assess } from './switch-check/assess';
import { gather } from './switch-check/gather';
import { exitCodeOf, renderReport } from './switch-check/switch-report';

const REQUEST_MS = 30_000;

/**
 * Implements `dockbridge switch check`, which reports what a switch to dockbridge would do to this node. Changes nothing. If an
 * option is not given, the flag of the running cri-dockerd is used, because a switch keeps these flags.
 * @returns the exit code: 0, 1 for warnings, 2 for problems or if the check could not be made.
 */
export async function switchCheck(given: Given, output: 'text' | 'json'): Promise<number> {
  try {
    // dockerd is omitted here, because the report has a line of its own for the Engine.
    const processes = (await findProcesses()).filter(({ name }) => name !== 'dockerd');
    const incumbent = processes.find(({ name }) => name === 'cri-dockerd');
    const adopted = incumbent === undefined ? {} : knownFlags(incumbent.args);
    // The check reports kubenet as a problem. dockbridge would refuse it as the value of its own option, so it is omitted.
    const { 'network-plugin': plugin, ...flags } = adopted;
    const sane = plugin === undefined || plugin === 'kubenet' ? flags : adopted;
    const { settings } = await loadConfiguration({ ...sane, ...given }, process.env);
    const docker = readOnly(
      new DockerodeClient({ endpoint: settings.dockerEndpoint, requestTimeoutMs: REQUEST_MS }),
      'a check changes nothing',
    );
    const report = assess(await gather({ docker, settings, processes, adopted }));
    process.stdout.write(output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report));
    return exitCodeOf(report);
  } catch (error) {
    process.stderr.write(`dockbridge switch check: ${messageOf(error)}\n`);
    return 2;
  }
}
