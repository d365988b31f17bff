import { invalidArgument, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { NamespaceMode } from '../../proto/enums';
import type { NamespaceModes } from '../../store/records';
import type { EngineHostConfig } from '../../engine/types';
import { oneOf } from './validate';

const { POD, CONTAINER, NODE, TARGET } = NamespaceMode;

/** The modes of a request without namespace options: POD, which is CRI's value 0. */
export const POD_NAMESPACES: NamespaceModes = { network: POD, pid: POD, ipc: POD, targetId: '' };

/**
 * Checks CRI's NamespaceOption. Allowed are POD and NODE for network and ipc. For pid, CONTAINER is also allowed and, in
 * a container, TARGET.
 */
export function toNamespaceModes(
  options: Decoded<cri.INamespaceOption> | null,
  field: string,
  of: 'sandbox' | 'container',
): NamespaceModes {
  if (options === null) return POD_NAMESPACES;
  oneOf(options.network, [POD, NODE], `${field}.network`, 'POD or NODE');
  oneOf(options.ipc, [POD, NODE], `${field}.ipc`, 'POD or NODE');
  const pids = of === 'sandbox' ? [POD, CONTAINER, NODE] : [POD, CONTAINER, NODE, TARGET];
  oneOf(options.pid, pids, `${field}.pid`, of === 'sandbox' ? 'POD, CONTAINER or NODE' : 'any mode');
  if (options.pid === TARGET && options.target_id === '') {
    throw invalidArgument(`${field}.target_id`, 'is required with pid=TARGET');
  }
  // A target without TARGET would have no effect.
  if (options.pid !== TARGET && options.target_id !== '') {
    throw invalidArgument(`${field}.target_id`, 'is allowed only with pid=TARGET');
  }
  refuseUserNamespace(options.userns_options, `${field}.userns_options`);
  return { network: options.network, pid: options.pid, ipc: options.ipc, targetId: options.target_id };
}

/**
 * Returns the namespace modes of a sandbox in the Engine's form.
 * @param networkMode the Engine network of a pod with its own network namespace.
 */
export function sandboxNamespaces(modes: NamespaceModes, networkMode: string): EngineHostConfig {
  return {
    NetworkMode: modes.network === NODE ? 'host' : networkMode,
    // The pod's containers join this IPC namespace, so it must be shareable.
    IpcMode: modes.ipc === NODE ? 'host' : 'shareable',
    ...(modes.pid === NODE ? { PidMode: 'host' } : {}),
  };
}

/**
 * Returns the namespace modes of a container in the Engine's form.
 * @param ofSandbox the sandbox's network mode. If it is NODE, a container still joins the sandbox, so that it shares the pod's
 * resolv.conf.
 */
export function containerNamespaces(
  modes: NamespaceModes,
  sandboxId: string,
  ofSandbox: NamespaceMode = POD,
): EngineHostConfig {
  const sandbox = `container:${sandboxId}`;
  return {
    NetworkMode: modes.network === NODE && ofSandbox !== NODE ? 'host' : sandbox,
    IpcMode: modes.ipc === NODE ? 'host' : sandbox,
    PidMode: pidMode(modes, sandbox),
    ...(modes.network === NODE ? { UTSMode: 'host' } : {}),
  };
}

/** Reads back the modes from the Engine's configuration, for containers without dockbridge's label. */
export function fromEngineNamespaces(host: EngineHostConfig): NamespaceModes {
  return {
    network: host.NetworkMode === 'host' ? NODE : POD,
    pid: host.PidMode === 'host' ? NODE : CONTAINER,
    ipc: host.IpcMode === 'host' ? NODE : POD,
    targetId: '',
  };
}

function pidMode(modes: NamespaceModes, sandbox: string): string {
  if (modes.pid === NODE) return 'host';
  if (modes.pid === TARGET) return `container:${modes.targetId}`;
  return modes.pid === POD ? sandbox : '';
}

function refuseUserNamespace(userns: Decoded<cri.IUserNamespace> | null, field: string): void {
  if (userns === null) return;
  if (userns.mode === NODE) {
    if (userns.uids.length > 0) throw invalidArgument(`${field}.uids`, 'mode NODE takes no mappings');
    if (userns.gids.length > 0) throw invalidArgument(`${field}.gids`, 'mode NODE takes no mappings');
    return;
  }
  oneOf(userns.mode, [POD], `${field}.mode`, 'POD or NODE');
  throw unsupported(field, 'Docker Engine has no user namespace per pod, as Status reports');
}
