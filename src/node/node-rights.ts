import { readFile } from 'node:fs/promises';
import { nodeCapabilities, type NodeCapabilities } from '../translate/container/capabilities';

const CAP_SYS_RESOURCE_BIT = 24n;

/** What this node lets its containers have. */
export interface NodeRights {
  /**
   * The lowest oom_score_adj that containers can get: -1000 with CAP_SYS_RESOURCE, else our own value, below which the
   * kernel refuses a write and runc fails the container.
   */
  readonly oomFloor: number;
  readonly capabilities: NodeCapabilities;
  /** Whether an address of IPv6 can be bound here. */
  readonly ipv6: boolean;
}

async function hasIpv6(): Promise<boolean> {
  const disabled = await readFile('/proc/sys/net/ipv6/conf/all/disable_ipv6', 'utf8').catch(() => '1');
  return disabled.trim() === '0';
}

/** Assumes that Engine and dockbridge were started with the same rights. */
export async function readNodeRights(): Promise<NodeRights> {
  const ipv6 = await hasIpv6();
  try {
    const status = await readFile('/proc/self/status', 'utf8');
    const mask = (set: string): bigint =>
      BigInt(`0x${new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'}`);
    const lastBit = Number(await readFile('/proc/sys/kernel/cap_last_cap', 'utf8'));
    const capabilities = nodeCapabilities(mask('CapBnd'), lastBit);
    if ((mask('CapEff') >> CAP_SYS_RESOURCE_BIT) & 1n) return { oomFloor: -1000, capabilities, ipv6 };
    return {
      oomFloor: Number((await readFile('/proc/self/oom_score_adj', 'utf8')).trim()),
      capabilities,
      ipv6,
    };
  } catch {
    return { oomFloor: 0, capabilities: undefined, ipv6 };
  }
}
