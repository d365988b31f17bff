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
  /** The changes of the Engine that may have killed it are counted from here. */
  readonly engineGeneration: number;
}

/** The pod was lost, for instance by a restart of dockerd, and kubelet makes its next attempt. */
export class PodLost extends Error {}
