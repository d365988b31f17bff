import { objects, text, type JsonObject } from './json';
import { wantsCapability, type NetworkConfig } from './network-config';

/**
 * What a pod itself can ask of its network, and the usual plugin for it. `dns` is not among them, for dockbridge writes the
 * pod's resolv.conf; nor is `ipRanges`, which is the node's.
 */
const PLUGINS = { portMappings: 'portmap', bandwidth: 'bandwidth' } as const;

/** What a pod asked of its network and no plugin does. */
export interface Unserved {
  readonly capability: keyof typeof PLUGINS;
  /** For people: what it is, why it is missing, and what to do. */
  readonly message: string;
}

/** @param args the pod's capability arguments, before the choice of each plugin's own. */
export function unservedBy(config: NetworkConfig, { portMappings, bandwidth }: JsonObject): Unserved[] {
  const ports = objects(portMappings).map(
    ({ hostPort, protocol }) => `${String(hostPort)}/${text(protocol).toLowerCase()}`,
  );
  const asked = {
    portMappings: ports.length === 0 ? '' : `host port ${ports.join(', ')}`,
    bandwidth: bandwidth === undefined ? '' : 'the limits of the bandwidth annotations',
  };
  return (['portMappings', 'bandwidth'] as const)
    .filter((capability) => asked[capability] !== '' && !wantsCapability(config, capability))
    .map((capability) => ({
      capability,
      message:
        `${asked[capability]}: no plugin of CNI network "${config.name}" has the capability "${capability}"; ` +
        `add the ${PLUGINS[capability]} plugin, unless something else on the node sees to that`,
    }));
}
