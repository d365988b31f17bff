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
  /** The Engine's generation when the container was started. A later one means that the Engine may have killed it. */
  readonly engineGeneration: number;
}

/** Thrown when the pod was lost, for instance by a restart of dockerd. kubelet then makes its next attempt. */
export class PodLost extends Error {}
