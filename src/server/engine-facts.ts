import type { Store } from '../store/store';
import { knownToEngine, type NodeCapabilities } from '../translate/capabilities';

/** Whether the Engine enforces `apparmor`, `selinux`, `seccomp` (elements such as `name=seccomp,profile=default`). */
export function hasSecurityOption(store: Store, name: string): boolean {
  return (store.engine?.securityOptions ?? []).some((option) => option.split(',')[0] === `name=${name}`);
}

/** What a container can be given here; undefined: everything. @param node the bounding set of this machine. */
export function grantable(store: Store, node: NodeCapabilities): NodeCapabilities {
  return knownToEngine(node, store.engine?.apiVersion ?? '');
}
