import { isLocalEndpoint } from '../../docker/transport';
import { errnoOf, messageOf } from '../../lib/errors';
import { flagOf, flagsOf } from '../../lib/flags';
import { isSameSocket } from '../../node/disk/socket-file';
import { SmallFile } from '../../node/disk/files';
import type { NodeProcess } from '../../node/process/node-processes';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';

const USUAL = '/etc/docker/daemon.json';
const MAX_BYTES = 1 << 20;

/** What the Engine was configured with. */
export interface DaemonJsonFacts {
  readonly path: string;
  /** undefined: there is no such file. */
  readonly text: string | undefined;
  /** Why the file cannot be read; '' when it can. */
  readonly problem: string;
  /** dockerd's command line, where its process was found. */
  readonly args: readonly string[];
  /** What /info tells; none where it does not answer. */
  readonly securityOptions: readonly string[];
}

/** The keys that dockbridge cannot make up for (docs/engine-configuration.md). */
export const daemonJson: Check = {
  id: 'daemon-json',
  run: async ({ settings, processes, info }) => {
    // An Engine that does not start may well be kept from it by this very file.
    const securityOptions = await info().then(
      ({ answer }) => answer.SecurityOptions ?? [],
      () => [],
    );
    const isLocal = isLocalEndpoint(settings.dockerEndpoint);
    const args = isLocal ? (dockerdAt(settings.dockerEndpoint, processes)?.args ?? []) : [];
    const path = flagOf(args, 'config-file') ?? USUAL;
    const { text, problem } = isLocal ? await read(path) : { text: undefined, problem: '' };
    return judgeDaemonJson({ path, text, problem, args, securityOptions });
  },
};

/** One that was told no address listens where everybody expects it, or where systemd does. */
function dockerdAt(endpoint: string, processes: readonly NodeProcess[]): NodeProcess | undefined {
  const engines = processes.filter(({ name }) => name === 'dockerd');
  const addresses = ({ args }: NodeProcess): string[] => [...flagsOf(args, 'host'), ...flagsOf(args, 'H')];
  return (
    engines.find((one) => addresses(one).some((address) => isSameSocket(address, endpoint))) ??
    engines.find((one) => addresses(one).every((address) => address.startsWith('fd:')))
  );
}

async function read(path: string): Promise<Pick<DaemonJsonFacts, 'text' | 'problem'>> {
  try {
    return { text: await new SmallFile(path, MAX_BYTES).text(), problem: '' };
  } catch (error) {
    return { text: undefined, problem: errnoOf(error) === 'ENOENT' ? '' : messageOf(error) };
  }
}

export function judgeDaemonJson(facts: DaemonJsonFacts): readonly Finding[] {
  const { path, text, problem, args, securityOptions } = facts;
  const findings: Finding[] = [];
  if (problem !== '')
    findings.push(warn(`${path} cannot be read: ${problem}`, 'Run the doctor as root, or mend the file.'));
  const config = text === undefined ? {} : parseObject(text);
  if (config === undefined)
    findings.push(
      fail(
        `${path} is not a JSON object: dockerd will not start with it`,
        `Mend it: dockerd --validate --config-file ${path}`,
      ),
    );
  const options = Object.keys(isObject(config?.['log-opts']) ? config['log-opts'] : {});
  if (options.includes('max-buffer-size') || args.some((word) => word.includes('max-buffer-size=')))
    findings.push(
      warn(
        'log-opts set max-buffer-size: the Engine drops output of containers when its disk is too slow for them',
        `Take "max-buffer-size" (and "mode") out of log-opts in ${path}, and restart the Engine.`,
      ),
    );
  const remaps = [config?.['userns-remap'] ?? '', flagOf(args, 'userns-remap') ?? ''].some(
    (user) => user !== '',
  );
  if (remaps || securityOptions.some((option) => option.startsWith('name=userns')))
    findings.push(
      warn(
        'userns-remap is on: files of images belong to remapped users, so users other than root may lack rights on their own files, and set-user-ID programs do not work',
        `Take "userns-remap" out of ${path}, and restart the Engine; images are pulled anew.`,
      ),
    );
  if (findings.length > 0) return findings;
  return [ok(text === undefined ? `there is no ${path}: defaults` : `${path}: nothing that harms pods`)];
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
