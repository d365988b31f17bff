import type { EngineContainerInspect } from './engine';
import { readExtra } from './labels';
import type { PodDns } from './pod-to-attach';
import type { SandboxExtra } from './sandbox-create';

const DNS_EXAMPLE: Required<Pick<SandboxExtra, 'dns'>> = { dns: { servers: [], searches: [], options: [] } };

/** A DNS configuration as resolv.conf(5) has it; an empty one is an empty file. */
export function toResolvConf({ servers, searches, options }: PodDns): string {
  const lines = [
    ...(searches.length === 0 ? [] : [`search ${searches.join(' ')}`]),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/**
 * Where a running sandbox's resolv.conf is and what it must say. The Engine writes it at each start from what create
 * told it, but fills what was left empty with the node's own.
 * @returns undefined when the pod was given no DNS configuration, or is not ours.
 */
export function wantedResolvConf(
  sandbox: EngineContainerInspect,
): { path: string; text: string } | undefined {
  const extra = readExtra(sandbox.Config.Labels ?? {}, DNS_EXAMPLE);
  const path = sandbox.ResolvConfPath ?? '';
  if (extra === undefined || path === '' || sandbox.State.Pid === 0) return undefined;
  return { path, text: toResolvConf(extra.dns) };
}
