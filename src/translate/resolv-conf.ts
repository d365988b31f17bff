import type { EngineContainerInspect } from './engine';
import type { PodDns } from './pod-to-attach';
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

/**
 * Where a running sandbox's resolv.conf is and what it must say. The Engine writes it at each start from what create
 * told it, but fills what was left empty with the node's own.
 * @returns undefined when the pod was given no DNS configuration, when the sandbox is not ours, or the file not its own:
 * of a container that joined another's network the Engine names the other's.
 */
export function wantedResolvConf(
  sandbox: EngineContainerInspect,
): { path: string; text: string } | undefined {
  const extra = ownSandboxExtra(sandbox, WITH_DNS_EXAMPLE);
  const path = sandbox.ResolvConfPath ?? '';
  if (extra === undefined || sandbox.State.Pid === 0 || !path.endsWith(`/${sandbox.Id}/resolv.conf`))
    return undefined;
  return { path, text: toResolvConf(extra.dns) };
}
