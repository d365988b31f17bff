import type { Store } from '../store/store';

/** Whether the Engine enforces `apparmor`, `selinux`, `seccomp` (elements such as `name=seccomp,profile=default`). */
export function hasSecurityOption(store: Store, name: string): boolean {
  return (store.engine?.securityOptions ?? []).some((option) => option.split(',')[0] === `name=${name}`);
}
