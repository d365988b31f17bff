/** A metric family of cAdvisor's. */
export interface MetricDescriptor {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  /** The label keys: those that every family has, followed by the family's own. */
  readonly labelKeys: readonly string[];
}

/** One current value of a family. */
export interface MetricSample {
  readonly name: string;
  /** The label values, in the order of the family's label keys. */
  readonly labelValues: readonly string[];
  /** The value in the unit that the family's name contains. Fractions are kept here; CRI's integers are rounded later. */
  readonly value: number;
}

export interface ContainerMetrics {
  readonly containerId: string;
  readonly samples: readonly MetricSample[];
}

/** All samples of one pod. */
export interface PodMetrics {
  readonly sandboxId: string;
  /** Samples of the pod as a whole. They are from its network and, if the pod has a cgroup of its own, from the cgroup. */
  readonly samples: readonly MetricSample[];
  readonly containers: readonly ContainerMetrics[];
}

/** The label keys of every family, as in kubelet's /metrics/cadvisor. */
export const BASE_LABELS = ['container', 'id', 'image', 'name', 'namespace', 'pod'] as const;

/** Identifies what samples are about. It has a value for each base label. */
export type Identity = Readonly<Record<(typeof BASE_LABELS)[number], string>>;

/** The values of a family's own labels, and the sample's number; empty when the number is not known. */
export type Values = readonly (readonly [value: number | undefined, ...labels: string[]])[];

/** A metric family, and the function that computes its values from a reading. */
export interface Family<Input> extends MetricDescriptor {
  readonly values: (input: Input) => Values;
}

type Maker<Input> = (
  name: string,
  help: string,
  values: (input: Input) => Values | number | undefined,
  ...labels: string[]
) => Family<Input>;

function maker<Input>(kind: MetricDescriptor['kind']): Maker<Input> {
  return (name, help, values, ...labels) => ({
    kind,
    help,
    name: `container_${name}`,
    labelKeys: [...BASE_LABELS, ...labels],
    values: (input) => {
      const found = values(input);
      return typeof found === 'object' ? found : [[found]];
    },
  });
}

/** Functions that make families with the same kind of input. */
export function familiesOf<Input>(): { counter: Maker<Input>; gauge: Maker<Input> } {
  return { counter: maker<Input>('counter'), gauge: maker<Input>('gauge') };
}

export function sample<Input>(
  families: readonly Family<Input>[],
  identity: Identity,
  input: Input,
): MetricSample[] {
  const base = BASE_LABELS.map((label) => identity[label]);
  return families.flatMap(({ name, values }) =>
    values(input).flatMap(([value, ...labels]) =>
      value === undefined ? [] : [{ name, value, labelValues: [...base, ...labels] }],
    ),
  );
}
