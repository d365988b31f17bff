import type { Attachment } from './attachment';
import { parseNetworkList } from './network-config';

/** Up on most Engines already; elsewhere by the plugin that everybody installs. */
export const LOOPBACK = parseNetworkList(
  JSON.stringify({ cniVersion: '0.3.1', name: 'cni-loopback', plugins: [{ type: 'loopback' }] }),
);

export function loopbackOf(containerId: string, netns: string): Attachment {
  return { containerId, networkName: LOOPBACK.name, ifName: 'lo', netns, cniArgs: [], capabilityArgs: {} };
}
