import { NamespaceMode } from '../../proto/enums';
import type { EngineContainerInspect } from '../../engine/types';
import type { PodDns } from './sandbox-create';
import { ownSandboxExtra, SANDBOX_EXTRA_EXAMPLE } from './sandbox-record';

const WITH_DNS_EXAMPLE = { ...SANDBOX_EXTRA_EXAMPLE, dns: { servers: [''], searches: [''], options: [''] } };

/** A DNS configuration as resolv.conf(5) has it; an empty one is an empty file. */
export function toResolvConf({ servers, searches, options }: PodDns): string {
  const lines = [
    ...(searches.length === 0 ? [] : [`search ${searches.join(' ')}`]),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** A running sandbox's resolv.conf: where it is, and what it must say. */
export interface WantedResolvConf {
  readonly path: string;
  /** Undefined if the pod was given no configuration and uses that of the node. */
  readonly text: string | undefined;
  /** Whether the pod has the node's network, where also loopback addresses lead to the node's own resolver. */
  readonly hostNetwork: boolean;
}

/**
 * What the resolv.conf of a running sandbox must contain. The Engine writes it at each start from the create request, but
 * fills empty parts from its daemon.json and, without loopback servers, from the node's file.
 * @returns undefined if the sandbox is not ours, or the file belongs to another container: for a container that joined
 * another's network the Engine names the file of the other.
 */
export function wantedResolvConf(sandbox: EngineContainerInspect): WantedResolvConf | undefined {
  const extra = ownSandboxExtra(sandbox, SANDBOX_EXTRA_EXAMPLE);
  const path = sandbox.ResolvConfPath ?? '';
  if (extra === undefined || sandbox.State.Pid === 0 || !path.endsWith(`/${sandbox.Id}/resolv.conf`))
    return undefined;
  const given = ownSandboxExtra(sandbox, WITH_DNS_EXAMPLE)?.dns;
  return {
    path,
    text: given === undefined ? undefined : toResolvConf(given),
    hostNetwork: extra.namespaces.network === NamespaceMode.NODE,
  };
}

/** Addresses of systemd-resolved on the node, which another network namespace cannot reach. */
const STUB = /^127\.0\.0\.5[34]$/;

/** Whether systemd-resolved's stub is the only server that a resolv.conf names. */
export function namesOnlyStub(text: string): boolean {
  const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server = '']) => server);
  return servers.length > 0 && servers.every((server) => STUB.test(server));
}
