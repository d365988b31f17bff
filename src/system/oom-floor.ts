import { readFile } from 'node:fs/promises';

const CAP_SYS_RESOURCE_BIT = 24n;

/**
 * The lowest oom_score_adj that containers can get here: -1000 with CAP_SYS_RESOURCE, else our own value, below which
 * the kernel refuses a write and runc fails the container (design.md, decision 9). Assumes that Engine and dockbridge
 * were started with the same rights.
 */
export async function readOomFloor(): Promise<number> {
  try {
    const status = await readFile('/proc/self/status', 'utf8');
    const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
    if ((capabilities >> CAP_SYS_RESOURCE_BIT) & 1n) return -1000;
    return Number((await readFile('/proc/self/oom_score_adj', 'utf8')).trim());
  } catch {
    return 0;
  }
}
