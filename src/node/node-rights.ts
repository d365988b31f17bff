import { readFile } from 'node:fs/promises';
import { nodeCapabilities, type NodeCapabilities } from '../translate/container/container-security';
import { parseProcessStatus } from './process/process-status';

const CAP_SYS_RESOURCE_BIT = 24n;

/** The rights that containers can get on this node. */
export interface NodeRights {
  /**
   * The lowest oom_score_adj that containers can get: -1000 with CAP_SYS_RESOURCE, otherwise dockbridge's own value. The kernel
   * refuses lower values, and runc then fails to start the container.
   */
  readonly oomFloor: number;
  readonly capabilities: NodeCapabilities;
  /** Whether programs can bind IPv6 addresses on this node. */
  readonly ipv6: boolean;
}

async function hasIpv6(): Promise<boolean> {
  const disabled = await readFile('/proc/sys/net/ipv6/conf/all/disable_ipv6', 'utf8').catch(() => '1');
  return disabled.trim() === '0';
}

/** Reads dockbridge's own rights. The Engine is assumed to have the same rights. */
export async function readNodeRights(): Promise<NodeRights> {
  const ipv6 = await hasIpv6();
  try {
    const { bounding, effective } = parseProcessStatus(
      await readFile('/proc/self/status', 'utf8'),
    ).capabilities;
    const lastBit = Number(await readFile('/proc/sys/kernel/cap_last_cap', 'utf8'));
    const capabilities = nodeCapabilities(bounding, lastBit);
    if ((effective >> CAP_SYS_RESOURCE_BIT) & 1n) return { oomFloor: -1000, capabilities, ipv6 };
    return {
      oomFloor: Number((await readFile('/proc/self/oom_score_adj', 'utf8')).trim()),
      capabilities,
      ipv6,
    };
  } catch {
    return { oomFloor: 0, capabilities: undefined, ipv6 };
  }
}
