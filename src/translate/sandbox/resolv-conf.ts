import { NamespaceMode } from '../../proto/enums';
import type { EngineContainerInspect } from '../../engine/types';
import type { PodDns } from './sandbox-create';
import { ownSandboxExtra, SANDBOX_EXTRA_EXAMPLE } from './sandbox-record';

const WITH_DNS_EXAMPLE = { ...SANDBOX_EXTRA_EXAMPLE, dns: { servers: [''], searches: [''], options: [''] } };

/** Returns a DNS configuration in the format of resolv.conf(5). An empty configuration results in an empty file. */
export function toResolvConf({ servers, searches, options }: PodDns): string {
  const lines = [
    ...(searches.length === 0 ? [] : [`search ${searches.join(' ')}`]),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** The path and the wanted text of a running sandbox's resolv.conf. */
export interface WantedResolvConf {
  readonly path: string;
  /** Undefined if the request has no DNS configuration, so that the pod uses the node's. */
  readonly text: string | undefined;
  /** Whether the pod has the node's network, where loopback addresses also lead to the node's own resolver. */
  readonly hostNetwork: boolean;
}

/**
 * Returns what the resolv.conf of a running sandbox must contain. The Engine writes this file at each start from the
 * create request, but fills empty parts from its daemon.json and from the node's file, without loopback servers.
 * @returns undefined if dockbridge did not create the sandbox, or the file belongs to another container. (For a container
 * that joined the network of another one, the Engine reports that container's file.)
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

/** Addresses of systemd-resolved on the node, which other network namespaces cannot reach. */
const STUB = /^127\.0\.0\.5[34]$/;

/** Whether systemd-resolved's stub is the only server in a resolv.conf. */
export function namesOnlyStub(text: string): boolean {
  const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server = '']) => server);
  return servers.length > 0 && servers.every((server) => STUB.test(server));
}
