import { existsSync } from 'node:fs';
import { readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { engineGet, sharedDockerHost } from './engine';

/** Returns the node's pid of a container's first process. */
export async function pidOf(id: string): Promise<number> {
  const { State } = (await engineGet(sharedDockerHost(), `/containers/${id}/json`)) as {
    State: { Pid: number };
  };
  return State.Pid;
}

/**
 * Creates an empty file in a running container from outside. A command inside could be killed: the
 * container may end as soon as the file exists.
 */
export async function touchIn(id: string, path: string): Promise<void> {
  await writeFile(join('/proc', String(await pidOf(id)), 'root', path), '');
}

/** The cgroup version of this machine and its containers. */
export const CGROUP_VERSION = existsSync('/sys/fs/cgroup/cgroup.controllers') ? 2 : 1;

/** Returns the directory of a process's cgroup. */
async function cgroupDirectory(pid: number, controller: string): Promise<string> {
  for (const line of (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n')) {
    const [, names = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (CGROUP_VERSION === 2 && names === '') return join('/sys/fs/cgroup', path);
    if (CGROUP_VERSION === 1 && names.split(',').includes(controller))
      return join('/sys/fs/cgroup', controller, path);
  }
  throw new Error(`no control group of ${controller} for process ${pid}`);
}

/** The limits that the kernel enforces for a running container. */
export interface KernelLimits extends CpuShare {
  readonly memory: number;
  /** Memory plus swap. */
  readonly memorySwap: number;
  readonly cpuQuota: number;
  readonly cpuPeriod: number;
  readonly cpusetCpus: string;
  readonly pids: string;
}

/** The first field is for cgroup v1, the second for v2. */
export interface CpuShare {
  readonly cpuShares?: number;
  readonly cpuWeight?: number;
}

/**
 * Returns the CPU part of kernelLimits() for a container with that many shares. runc computes the weight of
 * cgroup v2 by this formula.
 */
export function cpuShare(shares: number): CpuShare {
  if (CGROUP_VERSION === 1) return { cpuShares: shares };
  return { cpuWeight: 1 + Math.floor(((shares - 2) * 9999) / 262142) };
}

/** Returns the text of a file of the container's cgroup. `v1` and `v2` are its names in the two cgroup versions. */
export async function groupFile(id: string, controller: string, v1: string, v2: string): Promise<string> {
  const directory = await cgroupDirectory(await pidOf(id), controller);
  return (await readFile(join(directory, CGROUP_VERSION === 2 ? v2 : v1), 'utf8')).trim();
}

/** Reads the limits from the cgroup files, not from the Engine. */
export async function kernelLimits(id: string): Promise<KernelLimits> {
  const read = (controller: string, file: string): Promise<string> =>
    groupFile(id, controller, `${controller}.${file}`, `${controller}.${file}`);
  const shared = { cpusetCpus: await read('cpuset', 'cpus'), pids: await read('pids', 'max') };
  if (CGROUP_VERSION === 2) {
    const memory = bytes(await read('memory', 'max'));
    const [quota = '', period] = (await read('cpu', 'max')).split(' ');
    return {
      ...shared,
      memory,
      memorySwap: memory + bytes(await read('memory', 'swap.max')),
      cpuWeight: Number(await read('cpu', 'weight')),
      cpuQuota: quota === 'max' ? -1 : Number(quota),
      cpuPeriod: Number(period),
    };
  }
  return {
    ...shared,
    memory: Number(await read('memory', 'limit_in_bytes')),
    memorySwap: Number(await read('memory', 'memsw.limit_in_bytes')),
    cpuShares: Number(await read('cpu', 'shares')),
    cpuQuota: Number(await read('cpu', 'cfs_quota_us')),
    cpuPeriod: Number(await read('cpu', 'cfs_period_us')),
  };
}

/** Converts a value of cgroup v2 to a number: "max", which means no limit, becomes Infinity. */
function bytes(value: string): number {
  return value === 'max' ? Infinity : Number(value);
}

/** Returns the limit of huge pages in bytes. @param size the page size as in the kernel's file names: `2MB`. */
export async function hugepageLimit(id: string, size: string): Promise<number> {
  return Number(await groupFile(id, 'hugetlb', `hugetlb.${size}.limit_in_bytes`, `hugetlb.${size}.max`));
}

/** A cgroup for the containers of a pod, in the notation of the Engine's cgroup driver. */
export interface PodGroup {
  /** The name that kubelet would send. */
  readonly cgroupParent: string;
  /** The kernel's name. */
  readonly path: string;
  /** Returns the kernel's name of a container's cgroup below this one. */
  readonly of: (containerId: string) => string;
  /** Removes the cgroup, whose pods must be gone. */
  remove(): Promise<void>;
}

/** Returns the cgroup `name`, without creating it. @param name letters and digits, with parts joined by `-`. */
export async function podGroup(name: string): Promise<PodGroup> {
  const { CgroupDriver } = (await engineGet(sharedDockerHost(), '/info')) as { CgroupDriver: string };
  if (CgroupDriver !== 'systemd') {
    const path = `/${name}`;
    return { cgroupParent: path, path, of: (id) => `${path}/${id}`, remove: () => removeCgroups(name) };
  }
  // systemd places a-b.slice in a.slice.
  const parts = name.split('-');
  const path = parts.map((_, at) => `/${parts.slice(0, at + 1).join('-')}.slice`).join('');
  // systemd removes empty slices by itself.
  return {
    cgroupParent: path,
    path,
    of: (id) => `${path}/docker-${id}.scope`,
    remove: () => Promise.resolve(),
  };
}

/** Removes the cgroup `top` and everything below it from every hierarchy. No process may be left in them. */
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
