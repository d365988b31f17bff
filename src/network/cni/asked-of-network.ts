import { invalidArgument } from '../../lib/errors';
import type { StringMap } from '../../store/records';
import type { PodToAttach } from '../../translate/sandbox/pod-to-attach';
import type { PodPort } from '../../translate/sandbox/ports';
import { type JsonObject, objects, text } from '../../lib/json';
import { type NetworkConfig, wantsCapability } from './network-config';

const INGRESS = 'kubernetes.io/ingress-bandwidth';
const EGRESS = 'kubernetes.io/egress-bandwidth';
/** The limits, in bits per second, that Kubernetes sets for these annotations. */
const MIN_RATE = 1e3;
const MAX_RATE = 1e15;
/** The largest burst that the plugins accept, in bits. It is always used, because the annotations contain only a rate. */
const BURST = 2 ** 31 - 1;

/**
 * Returns the arguments that plugins get for a pod, by capability. Each plugin gets the arguments of the capabilities that it
 * declares.
 * @param podCidr one or two CIDRs, comma-separated; '' while unknown.
 * @throws INVALID_ARGUMENT for an invalid bandwidth annotation.
 */
export function capabilityArgs(pod: PodToAttach, podCidr: string): JsonObject {
  const bandwidth = toBandwidth(pod.annotations);
  const cidrs = podCidr.split(',').map((cidr) => cidr.trim());
  return {
    ...(pod.ports.length === 0 ? {} : { portMappings: pod.ports.map(toPortMapping) }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(pod.dns === undefined ? {} : { dns: pod.dns }),
    // Each address family is a set of ranges of its own, because the plugin assigns one address from each set.
    ...(podCidr === '' ? {} : { ipRanges: cidrs.map((subnet) => [{ subnet }]) }),
  };
}

function toPortMapping({ hostPort, containerPort, protocol, hostIp }: PodPort): JsonObject {
  return { hostPort, containerPort, protocol, hostIP: hostIp };
}

function toBandwidth(annotations: Readonly<Record<string, string>>): JsonObject | undefined {
  const ingress = toRate(annotations[INGRESS], INGRESS);
  const egress = toRate(annotations[EGRESS], EGRESS);
  if (ingress === undefined && egress === undefined) return undefined;
  return {
    ...(ingress === undefined ? {} : { ingressRate: ingress, ingressBurst: BURST }),
    ...(egress === undefined ? {} : { egressRate: egress, egressBurst: BURST }),
  };
}

/** Whether a pod's annotations limit its bandwidth, even if their values are invalid. */
export function limitsBandwidth(annotations: StringMap): boolean {
  return annotations[INGRESS] !== undefined || annotations[EGRESS] !== undefined;
}

const SUFFIXES: Readonly<Record<string, number>> = {
  ...{ '': 1, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 },
};

/** Parses a Kubernetes quantity (`10M`, `1Mi`, `1e6`) and returns it in bits per second. */
function toRate(quantity: string | undefined, annotation: string): number | undefined {
  if (quantity === undefined) return undefined;
  const parts = /^(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d+)|([mkMGTPE]|[KMGTPE]i)?)$/.exec(quantity.trim());
  const rate = Math.ceil(
    Number(parts?.[1] ?? NaN) * 10 ** Number(parts?.[2] ?? 0) * (SUFFIXES[parts?.[3] ?? ''] ?? NaN),
  );
  if (rate >= MIN_RATE && rate <= MAX_RATE) return rate;
  throw invalidArgument(
    `config.annotations["${annotation}"]`,
    `${JSON.stringify(quantity)} is not a bandwidth from 1k to 1P (bits per second)`,
  );
}

/**
 * The capabilities that a pod itself can request, with the usual plugin for each. `dns` is missing because dockbridge writes
 * the pod's resolv.conf, and `ipRanges` because the node requests it.
 */
const PLUGINS = { portMappings: 'portmap', bandwidth: 'bandwidth' } as const;

/** Something that a pod requested from its network but that no plugin provides. */
export interface Unserved {
  readonly capability: keyof typeof PLUGINS;
  /** A message for people: what is missing, why, and what to do. */
  readonly message: string;
}

/**
 * Lists what a pod requested but the plugins of its network do not provide. `args` contains the pod's arguments of all
 * capabilities.
 */
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
        `add the ${PLUGINS[capability]} plugin, unless something else on the node provides this`,
    }));
}
