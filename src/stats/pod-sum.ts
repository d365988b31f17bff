import Long from 'long';
import type { CpuReading, MemoryReading, UsageReading } from './readings';

/**
 * The usage of a pod that has no cgroup of its own: the sum of its running containers and the pause container. The sum also
 * includes the CPU time of ended containers up to their last reading, so that the pod's CPU time does not go back.
 */
export class PodSums {
  private readonly ended = new Map<string, Long>();
  private readonly last = new Map<string, { readonly sandboxId: string; readonly usageNanos: Long }>();

  /**
   * Returns the usage of a pod.
   * @param members readings by container id, for containers for which `end` was not called.
   */
  sum(sandboxId: string, members: ReadonlyMap<string, UsageReading>): UsageReading {
    const all = [...members.values()];
    for (const [id, { cpu }] of members) {
      if (cpu !== undefined) this.last.set(id, { sandboxId, usageNanos: cpu.usageNanos });
    }
    const before = this.ended.get(sandboxId) ?? Long.UZERO;
    return {
      cpu: sumCpu(
        all.flatMap(({ cpu }) => cpu ?? []),
        before,
      ),
      memory: sumMemory(all.flatMap(({ memory }) => memory ?? [])),
    };
  }

  /** Called when the container is not running anymore. */
  end(id: string): void {
    const last = this.last.get(id);
    if (last === undefined) return;
    this.last.delete(id);
    const before = this.ended.get(last.sandboxId) ?? Long.UZERO;
    this.ended.set(last.sandboxId, before.add(last.usageNanos));
  }

  /** Called when the sandbox is gone. */
  forget(sandboxId: string): void {
    this.ended.delete(sandboxId);
    for (const [id, last] of this.last) if (last.sandboxId === sandboxId) this.last.delete(id);
  }
}

function sumCpu(all: readonly CpuReading[], before: Long): CpuReading | undefined {
  const [first] = all;
  if (first === undefined) return undefined;
  const rates = all.flatMap(({ nanoCores }) => nanoCores ?? []);
  return {
    timestamp: latest(all),
    usageNanos: all.reduce((total, { usageNanos }) => total.add(usageNanos), before),
    nanoCores: rates.length === 0 ? undefined : total(rates),
  };
}

function sumMemory(all: readonly MemoryReading[]): MemoryReading | undefined {
  if (all.length === 0) return undefined;
  const totalOf = (pick: (one: MemoryReading) => number | undefined): number =>
    total(all.map((one) => pick(one) ?? 0));
  return {
    timestamp: latest(all),
    usage: totalOf(({ usage }) => usage),
    workingSet: totalOf(({ workingSet }) => workingSet),
    rss: totalOf(({ rss }) => rss),
    pageFaults: totalOf(({ pageFaults }) => pageFaults),
    majorPageFaults: totalOf(({ majorPageFaults }) => majorPageFaults),
  };
}

function latest(all: readonly { readonly timestamp: Long }[]): Long {
  return all.reduce((last, { timestamp }) => (timestamp.greaterThan(last) ? timestamp : last), Long.ZERO);
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
