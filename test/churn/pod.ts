import type { ContainerPlan } from './plan';

/** A sandbox that the driver uses. */
export interface Sandbox {
  readonly id: string;
  readonly attempt: number;
}

/** A container that the driver has started. */
export interface Running {
  readonly id: string;
  readonly plan: ContainerPlan;
  readonly logPath: string;
  /** Changes of the Engine that it may have been killed by are counted from here. */
  readonly engineGeneration: number;
}

/** The pod was lost, by a restart of dockerd for instance: kubelet makes the next attempt of it. */
export class PodLost extends Error {}
