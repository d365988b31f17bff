import type { CallLanes } from './docker/call-lanes';
import { hasCode, messageOf } from './lib/errors';
import type { ContainerLogs } from './logs/container-logs';
import type { EngineLink } from './sync/engine-link';
import type { WatchedPart } from './node/systemd';

/**
 * How long the link's loop may stand still while no Engine call is under way, ms. It may wait for what pods did before, such
 * as CNI plugins that hang until their limit; at the usual limit no wait for those takes nearly as long.
 */
const STALL_MS = 30 * 60_000;
/** As many runs of plugins in a row are granted where --cni-timeout is longer than usual. */
const CNI_RUNS = 2;

/**
 * The thread that writes container logs. It answers when it says anything at all: a disk that hangs, or a node without threads
 * or memory, is told as trouble, and a restart would meet it again.
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
 * The loop that connects to the Engine, whether that answers or not: it takes a step, or waits for an answer of the Engine's.
 * Counts looks, not time: the process may have been stopped meanwhile.
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
          : `its loop has stood still for ${stallMs / 60_000} minutes, and waits for no call of the Engine`,
      );
    },
  };
}
