import { isIP } from 'node:net';
import { canonicalIp } from '../../lib/canonical-ip';
import { failedPrecondition } from '../../lib/errors';
import type { PodPort } from '../../translate/sandbox/pod-to-attach';
import type { Attachment } from './attachment';
import { objects, text } from './json';
import { askedFor, type UnfiledPod } from './pod-entry';

/** Who may have taken a port. */
export type Publisher = Pick<Attachment, 'containerId' | 'cniArgs' | 'capabilityArgs'>;

/**
 * Everybody who may have taken ports of the node.
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
 * Plugins publish a port twice without a word, and the first pod keeps it.
 * @throws FAILED_PRECONDITION naming the port and the pod that has it.
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

/** The first wanted port that the other one has. */
export function conflictOf(
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

/** 0: all addresses of both families. */
function familyOf(hostIp: string): number {
  return isIP(hostIp);
}

function podName({ cniArgs, containerId }: Publisher): string {
  const args = new Map(cniArgs);
  const [namespace, name] = [args.get('K8S_POD_NAMESPACE'), args.get('K8S_POD_NAME')];
  return namespace === undefined || name === undefined ? containerId : `${namespace}/${name}`;
}
