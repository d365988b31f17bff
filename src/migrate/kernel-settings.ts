import type { NodeFacts } from './facts';
import { linesIn } from './inventory/finding-of';

const NEEDED = ['net.ipv4.ip_forward', 'net.bridge.bridge-nf-call-iptables'];

/** Kernel settings that pods need and that only dockerd has made: after a reboot without it they are gone. */
export interface UnsetKernelSettings {
  /** The names of sysctls whose value is 1 now, and which no file sets. */
  readonly sysctls: readonly string[];
  /** Modules that are loaded now, and which no file loads. */
  readonly modules: readonly string[];
}

/** Returns the settings of the kernel that no file of the node makes. */
export function unsetKernelSettings(facts: Pick<NodeFacts, 'files' | 'host'>): UnsetKernelSettings {
  const { files, host } = facts;
  const settings = Object.keys(files).filter((path) => path.includes('/sysctl.'));
  const isSet = (name: string): boolean => {
    const pattern = new RegExp(`^\\s*-?${name.replaceAll('.', '[./]')}\\s*=\\s*1\\b`);
    return settings.some((path) => linesIn(facts, path, pattern).length > 0);
  };
  const lists = Object.keys(files).filter(
    (path) => path === '/etc/modules' || path.startsWith('/etc/modules-load.d/'),
  );
  const isListed = lists.some((path) => linesIn(facts, path, /^\s*br_netfilter\b/).length > 0);
  const isLoaded = host.sysctls['net.bridge.bridge-nf-call-iptables'] !== undefined;
  return {
    sysctls: NEEDED.filter((name) => host.sysctls[name] === '1' && !isSet(name)),
    modules: isLoaded && !isListed ? ['br_netfilter'] : [],
  };
}
