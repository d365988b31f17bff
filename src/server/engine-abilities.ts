import { messageOf, unavailable } from '../lib/errors';
import type { EngineFacts } from '../store/records';
import type { Store } from '../store/store';
import { knownToEngine, type NodeCapabilities } from '../translate/container/container-security';
import { type KnownRuntimes, toEngineRuntime } from '../translate/shared/engine-facts';
import type { Services } from './services';

/**
 * Returns the facts of the Engine.
 * @throws UNAVAILABLE before the Engine's first answer.
 */
export function engineFacts({ store, link }: Pick<Services, 'store' | 'link'>): EngineFacts {
  if (store.engine !== undefined) return store.engine;
  throw unavailable(link.state.ready ? 'Docker Engine has not answered yet' : link.state.reason);
}

/**
 * Whether the Engine enforces `apparmor`, `selinux` or `seccomp`. The Engine's list has elements such as
 * `name=seccomp,profile=default`.
 */
export function hasSecurityOption(store: Store, name: string): boolean {
  return (store.engine?.securityOptions ?? []).some((option) => option.split(',')[0] === `name=${name}`);
}

/**
 * Returns the capabilities that a container can have on this node; undefined means all.
 * @param node the bounding set of this machine.
 */
export function grantable(store: Store, node: NodeCapabilities): NodeCapabilities {
  return knownToEngine(node, store.engine?.apiVersion ?? '');
}

export function knownRuntimes({ engine }: Pick<Store, 'engine'>): KnownRuntimes {
  return { runtimes: engine?.runtimes ?? [], apiVersion: engine?.apiVersion ?? '' };
}

/**
 * Reads the Engine's facts again if a handler is unknown, because the handler may have been added to daemon.json since
 * the last answer.
 */
export async function lookForHandler(
  { store, link, logger }: Pick<Services, 'store' | 'link' | 'logger'>,
  handler: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    toEngineRuntime(handler, knownRuntimes(store), 'runtime_handler');
  } catch {
    await link.readFactsAgain(signal).catch((error: unknown) => {
      signal.throwIfAborted();
      logger.debug(
        () => 'Cannot read the runtimes of Docker Engine',
        () => ({ error: messageOf(error) }),
      );
    });
  }
}
