import type { CallLanes } from './docker/call-lanes';
import { hasCode, messageOf } from './lib/errors';
import type { ContainerLogs } from './logs/container-logs';
import type { EngineLink } from './sync/engine-link';
import type { WatchedPart } from './node/systemd';

/**
 * How long, in ms, the link's loop may make no step while no Engine call is in progress. The loop may have to wait for CNI
 * plugins that hang until --cni-timeout, but with the default timeout such a wait is much shorter.
 */
const STALL_MS = 30 * 60_000;
/** With a longer --cni-timeout, the loop may make no step for as long as this many consecutive runs of plugins. */
const CNI_RUNS = 2;

/**
 * Watches the thread that writes container logs. Any answer means that the thread works. A hung disk, or a node without threads
 * or memory, is reported as a problem of the logs and not here, because a restart would not help.
 */
export function watchedLogs(logs: Pick<ContainerLogs, 'stats' | 'trouble'>): WatchedPart {
  return {
    name: 'logs',
    problem: async () => {
      try {
        await logs.stats?.();
        return undefined;
      } catch (error) {
        return hasCode(error, 'DEADLINE_EXCEEDED') && logs.trouble === undefined
          ? messageOf(error)
          : undefined;
      }
    },
  };
}

/**
 * Watches the loop that connects to the Engine. Whether or not the Engine answers, the loop either makes a step or waits for an
 * Engine call. This counts looks instead of time, because the process may have been suspended between two looks.
 */
export function watchedLink(
  link: Pick<EngineLink, 'steps'>,
  lanes: Pick<CallLanes, 'load'>,
  intervalMs: number,
  cniTimeoutMs: () => number,
): WatchedPart {
  let last = link.steps;
  let same = 0;
  return {
    name: 'engine link',
    problem: () => {
      const { steps } = link;
      const waits = lanes.load.some(({ underWay, waiting }) => underWay + waiting > 0);
      same = steps === last && steps !== 'ended' && !waits ? same + 1 : 0;
      last = steps;
      const stallMs = Math.max(STALL_MS, CNI_RUNS * cniTimeoutMs());
      return Promise.resolve(
        same < Math.ceil(stallMs / intervalMs)
          ? undefined
          : `its loop has made no step for ${stallMs / 60_000} minutes, although no Engine call is in progress`,
      );
    },
  };
}
