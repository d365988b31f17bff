import { flagOf } from '../lib/flags';
import type { NodeFacts } from './facts';

/** Returns the name of the Node object: kubelet takes its flag, or else the machine's name in lower case (kubelet's nodename.go). */
export function nodeName({ host, kubelet }: Pick<NodeFacts, 'host' | 'kubelet'>): string {
  const given = flagOf(kubelet?.arguments ?? [], 'hostname-override')?.trim() ?? '';
  return (given === '' ? host.hostname.trim() : given).toLowerCase();
}
