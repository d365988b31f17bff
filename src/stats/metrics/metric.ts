/** A metric family of cAdvisor's. */
export interface MetricDescriptor {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  /** Those that every family has, then its own. */
  readonly labelKeys: readonly string[];
}

/** One value of a family, sampled live. */
export interface MetricSample {
  readonly name: string;
  /** As many as the family has keys, in their order. */
  readonly labelValues: readonly string[];
  /** In the unit that the name tells; fractions are kept, CRI's integers are made of it later. */
  readonly value: number;
}

export interface ContainerMetrics {
  readonly containerId: string;
  readonly samples: readonly MetricSample[];
}

/** All samples of one pod. */
export interface PodMetrics {
  readonly sandboxId: string;
  /** Samples of the pod as a whole: its cgroup, where it has one, and its network. */
  readonly samples: readonly MetricSample[];
  readonly containers: readonly ContainerMetrics[];
}
