import type { CallLanes } from './docker/call-lanes';
import { hasCode, messageOf } from './lib/errors';
import type { ContainerLogs } from './logs/container-logs';
import type { EngineLink } from './sync/engine-link';
import type { WatchedPart } from './node/systemd';

/**
 * How long the link's loop may stand still while no Engine call is under way, ms. The loop may rightly wait for CNI plugins
 * that hang until --cni-timeout; with the default timeout no such wait lasts nearly this long.
 */
const STALL_MS = 30 * 60_000;
/** With a longer --cni-timeout, the loop may stand still for as long as this many runs of plugins in a row. */
const CNI_RUNS = 2;

/**
 * The thread that writes container logs. Any answer means that it works. A hung disk, or a node without
 * threads or memory, is reported as trouble of the logs and not here, because a restart would not help.
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
 * The loop that connects to the Engine. Whether or not the Engine answers, the loop either takes a step or waits for a call
 * of the Engine. This counts looks, not time, because the process may have been suspended between two looks.
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
          : `its loop has stood still for ${stallMs / 60_000} minutes, although no call of the Engine is under way`,
      );
    },
  };
}
