import { isIP } from 'node:net';
import { failedPrecondition } from '../../lib/errors';
import type { PodPort } from '../../translate/pod-to-attach';
import type { Attachment } from './attachment';
import { objects, text } from './json';

/** Who may have taken a port. */
export type Publisher = Pick<Attachment, 'containerId' | 'cniArgs' | 'capabilityArgs'>;

/**
 * Plugins publish a port twice without a word, and the first pod keeps it.
 * @throws FAILED_PRECONDITION naming the port and the pod that has it.
 */
export function refusePortConflicts(wanted: readonly PodPort[], attached: readonly Publisher[]): void {
  if (wanted.length === 0) return;
  for (const other of attached) {
    for (const taken of objects(other.capabilityArgs.portMappings)) {
      const port = wanted.find(
        ({ hostPort, protocol, hostIp }) =>
          hostPort === taken.hostPort &&
          protocol === text(taken.protocol).toLowerCase() &&
          overlap(hostIp, text(taken.hostIP)),
      );
      if (port === undefined) continue;
      const address = port.hostIp === '' ? '' : ` of ${port.hostIp}`;
      throw failedPrecondition(
        `host port ${port.hostPort}/${port.protocol}${address} is taken by pod ${podName(other)}`,
      );
    }
  }
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
