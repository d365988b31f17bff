import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { flagOf } from '../../lib/flags';
import { isSameSocket } from '../../node/disk/socket-file';
import { OPTIONS } from '../../config/options';
import type { NodeProcess } from '../../node/process/node-processes';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';

const WANTED_BY = ['multi-user.target.wants', 'sockets.target.wants'];
const UNITS = ['cri-docker.service', 'cri-docker.socket', 'cri-dockerd.service'];

export interface CriDockerdFacts {
  readonly running: readonly NodeProcess[];
  readonly dockbridgeRuns: boolean;
  /** Where dockbridge listens. */
  readonly endpoint: string;
  /** Links of systemd's that start it at the next boot. */
  readonly enabled: readonly string[];
}

/** Whether cri-dockerd is, or will be, in the way. */
export const criDockerd: Check = {
  id: 'cri-dockerd',
  run: async ({ processes, daemon, settings }) => [
    judgeCriDockerd({
      running: processes.filter(({ name }) => name === 'cri-dockerd'),
      dockbridgeRuns: daemon !== undefined,
      endpoint: settings.endpoint,
      enabled: await enabledUnits('/etc/systemd/system'),
    }),
  ],
};

async function enabledUnits(directory: string): Promise<string[]> {
  const links = WANTED_BY.flatMap((target) => UNITS.map((unit) => join(directory, target, unit)));
  // A unit of that name may start dockbridge, as an alias for those who only know the other.
  const texts = await Promise.all(links.map((link) => readFile(link, 'utf8').catch(() => 'dockbridge')));
  return links.filter((_, at) => texts[at]?.includes('dockbridge') === false);
}

export function judgeCriDockerd({ running, dockbridgeRuns, endpoint, enabled }: CriDockerdFacts): Finding {
  const disable = 'systemctl disable --now cri-docker.socket cri-docker.service';
  const [process] = running;
  if (process !== undefined) {
    const theirs = flagOf(process.args, OPTIONS.endpoint.name) ?? OPTIONS.endpoint.fallback;
    const who = `cri-dockerd runs (process ${process.pid})`;
    if (!dockbridgeRuns)
      return warn(
        `${who} and serves this node; dockbridge does not run`,
        `dockbridge switch check says what a switch does to each pod; then: ${disable}`,
      );
    return fail(
      `${who} beside dockbridge${isSameSocket(theirs, endpoint) ? ', and wants the same socket' : ''}: both write logs and remove sandboxes of one Engine`,
      `${disable}. To only watch beside it: dockbridge serve --observe`,
    );
  }
  if (enabled.length > 0)
    return warn(
      `cri-dockerd does not run, and will be started at the next boot: ${enabled.join(', ')}`,
      disable,
    );
  return ok('cri-dockerd neither runs nor will be started by systemd');
}
