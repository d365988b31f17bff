import { readFile, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { engineGet, sharedDockerHost } from './engine';

/** The node's pid of a container's first process. */
export async function pidOf(id: string): Promise<number> {
  const { State } = (await engineGet(sharedDockerHost(), `/containers/${id}/json`)) as {
    State: { Pid: number };
  };
  return State.Pid;
}

/** The control group of a process, on cgroup v1: the machines that these tests run on have no other. */
async function cgroupDirectory(pid: number, controller: string): Promise<string> {
  for (const line of (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n')) {
    const [, names = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names.split(',').includes(controller)) return join('/sys/fs/cgroup', controller, path);
  }
  throw new Error(`no cgroup v1 of ${controller} for process ${pid}`);
}

/** What the kernel enforces for a running container. */
export interface KernelLimits {
  readonly memory: number;
  /** Memory plus swap. */
  readonly memorySwap: number;
  readonly cpuShares: number;
  readonly cpuQuota: number;
  readonly cpuPeriod: number;
  readonly cpusetCpus: string;
  readonly pids: string;
}

async function readValue(id: string, controller: string, file: string): Promise<string> {
  const directory = await cgroupDirectory(await pidOf(id), controller);
  return (await readFile(join(directory, file), 'utf8')).trim();
}

/** Read from the control group's files, not from the Engine. */
export async function kernelLimits(id: string): Promise<KernelLimits> {
  return {
    memory: Number(await readValue(id, 'memory', 'memory.limit_in_bytes')),
    memorySwap: Number(await readValue(id, 'memory', 'memory.memsw.limit_in_bytes')),
    cpuShares: Number(await readValue(id, 'cpu', 'cpu.shares')),
    cpuQuota: Number(await readValue(id, 'cpu', 'cpu.cfs_quota_us')),
    cpuPeriod: Number(await readValue(id, 'cpu', 'cpu.cfs_period_us')),
    cpusetCpus: await readValue(id, 'cpuset', 'cpuset.cpus'),
    pids: await readValue(id, 'pids', 'pids.max'),
  };
}

/** Bytes. @param size as in the kernel's file names: `2MB`. */
export async function hugepageLimit(id: string, size: string): Promise<number> {
  return Number(await readValue(id, 'hugetlb', `hugetlb.${size}.limit_in_bytes`));
}

/** Removes the group `top` and all below it from every hierarchy; it must have no processes. */
export async function removeCgroups(top: string): Promise<void> {
  const hierarchies = await readdir('/sys/fs/cgroup');
  await Promise.all(hierarchies.map((hierarchy) => removeTree(join('/sys/fs/cgroup', hierarchy, top))));
  await removeTree(join('/sys/fs/cgroup', top));
}

async function removeTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(directory, entry.name));
  if (entries.length > 0) await rmdir(directory);
}
