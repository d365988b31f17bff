import type { DetailReading, InterfaceReading, UsageReading } from './readings';

/** A running container, or a pod's pause container. */
export interface Target {
  readonly id: string;
  /** Host pid of its first process. */
  readonly pid: number;
}

/** Where readings come from: cgroup files, or where those cannot be seen the Engine. */
export interface UsageSource {
  /** Resolves with undefined when it does not run any more. */
  usage(target: Target, signal?: AbortSignal): Promise<UsageReading | undefined>;
  detail(target: Target, signal?: AbortSignal): Promise<TargetDetail | undefined>;
  /** The path of its cgroup: cAdvisor's label `id`. */
  cgroupName(target: Target): Promise<string | undefined>;
  /**
   * Reads the cgroup above a pause container: the pod's own, where the pod was given one.
   * Undefined where that cannot be read.
   */
  podUsage(sandbox: Target, signal?: AbortSignal): Promise<UsageReading | undefined>;
  podDetail(sandbox: Target, signal?: AbortSignal): Promise<TargetDetail | undefined>;
  /** Host pids of all its processes; undefined where they cannot be seen. */
  processes(target: Target, signal?: AbortSignal): Promise<readonly number[] | undefined>;
  /** Reads the interfaces of a pod's network namespace, loopback included; undefined where it cannot be seen. */
  interfaces(sandbox: Target, signal?: AbortSignal): Promise<readonly InterfaceReading[] | undefined>;
  /** Makes its first reading at once, so that the next one has a rate. */
  watch(target: Target): Promise<void>;
  forget(id: string): Promise<void>;
  close(): Promise<void>;
}

export interface TargetDetail extends DetailReading {
  /** As cgroupName says. */
  readonly cgroup: string;
}
