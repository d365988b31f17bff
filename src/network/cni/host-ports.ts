import { isIP } from 'node:net';
import { canonicalIp, type PodPort } from '../../translate/sandbox/ports';
import { failedPrecondition, messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { isInhabited, type PodNamespaces } from '../../node/netns/namespace-handles';
import { objects, text } from '../../lib/json';
import type { PluginChain } from './plugin-chain';
import { askedFor, configOf, isOfOtherRunDir, isOurs, type UnfiledPod } from './pod-entry';
import type { Attachment, CachedAttachment, ResultCache } from './result-cache';

/** A pod that may use a host port. */
export type Publisher = Pick<Attachment, 'containerId' | 'cniArgs' | 'capabilityArgs'>;

/**
 * Lists all pods that may use ports of the node.
 * @param unfiled pods without a cache entry, by the ids of their sandboxes.
 */
export function publishersOf(
  filed: readonly Publisher[],
  unfiled: ReadonlyMap<string, UnfiledPod>,
): Publisher[] {
  const others = [...unfiled].map(([containerId, { pod }]) => ({
    containerId,
    ...askedFor(containerId, pod, ''),
  }));
  return [...filed, ...others];
}

/**
 * Refuses a host port that another pod uses. Plugins would publish it twice without an error, and only the first pod would get
 * the traffic.
 * @throws FAILED_PRECONDITION naming the port and the pod that uses it.
 */
export function refusePortConflicts(wanted: readonly PodPort[], attached: readonly Publisher[]): void {
  for (const other of attached) {
    const port = conflictOf(wanted, other);
    if (port === undefined) continue;
    const address = port.hostIp === '' ? '' : ` of ${port.hostIp}`;
    throw failedPrecondition(
      `host port ${port.hostPort}/${port.protocol}${address} is taken by pod ${podName(other)}`,
    );
  }
}

/** Returns the first wanted port that the other pod uses. */
function conflictOf(
  wanted: readonly PodPort[],
  { capabilityArgs }: Pick<Publisher, 'capabilityArgs'>,
): PodPort | undefined {
  const taken = wanted.length === 0 ? [] : objects(capabilityArgs.portMappings);
  return wanted.find(({ hostPort, protocol, hostIp }) =>
    taken.some(
      (other) =>
        hostPort === other.hostPort &&
        protocol === text(other.protocol).toLowerCase() &&
        overlap(canonicalIp(hostIp), canonicalIp(text(other.hostIP))),
    ),
  );
}

function overlap(one: string, other: string): boolean {
  if (one === other) return true;
  const [a, b] = [familyOf(one), familyOf(other)];
  const isAny = (ip: string): boolean => ip === '' || ip === '0.0.0.0' || ip === '::';
  return (a === 0 || b === 0 || a === b) && (isAny(one) || isAny(other));
}

/** Returns 4 or 6, or 0 for a host IP that stands for all addresses of both families. */
function familyOf(hostIp: string): number {
  return isIP(hostIp);
}

function podName({ cniArgs, containerId }: Publisher): string {
  const args = new Map(cniArgs);
  const [namespace, name] = [args.get('K8S_POD_NAMESPACE'), args.get('K8S_POD_NAME')];
  return namespace === undefined || name === undefined ? containerId : `${namespace}/${name}`;
}

export interface Undoing {
  readonly chain: Pick<PluginChain, 'del'>;
  readonly cache: Pick<ResultCache, 'values' | 'remove'>;
  readonly handles: Pick<PodNamespaces, 'owns'>;
  readonly logger: Logger;
}

/**
 * Finds entries of other programs that claim a wanted port although their network namespace is gone or no process runs in it.
 * Another runtime left them in the cache, or an earlier dockbridge with another --run-dir. Entries of such a dockbridge are
 * undone, including their rules.
 * @returns these entries. They do not prevent a pod from getting its port. An entry that cannot be undone stays in the cache,
 * so that it is tried again.
 */
export async function passOverDead(
  wanted: readonly PodPort[],
  undoing: Undoing,
): Promise<CachedAttachment[]> {
  if (wanted.length === 0) return [];
  const others = undoing.cache.values().filter((entry) => !isOurs(entry, undoing.handles));
  const dead: CachedAttachment[] = [];
  for (const entry of others) {
    // Conflicts are rare, and only a conflict makes it worthwhile to search all processes.
    if (conflictOf(wanted, entry) !== undefined && !(await isInhabited(entry.netns))) dead.push(entry);
  }
  for (const entry of dead) if (isOfOtherRunDir(entry)) await undo(entry, undoing);
  return dead;
}

async function undo(entry: CachedAttachment, { chain, cache, logger }: Undoing): Promise<void> {
  const config = configOf(entry);
  if (config === undefined) return;
  try {
    await chain.del(config, { ...entry, netns: '' }, entry.result);
    await cache.remove(entry);
  } catch (error) {
    logger.warn('Cannot undo the network of a pod from an earlier --run-dir', {
      sandbox: entry.containerId,
      error: messageOf(error),
    });
  }
}
