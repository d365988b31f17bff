/** A metric family of cAdvisor's. */
export interface MetricDescriptor {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  /** Label keys that every family has, then the family's own. */
  readonly labelKeys: readonly string[];
}

/** One value of a family, sampled live. */
export interface MetricSample {
  readonly name: string;
  /** One value for each key of the family, in their order. */
  readonly labelValues: readonly string[];
  /** In the unit that the name tells. Fractions are kept; they are rounded to CRI's integers later. */
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

/** Labels of every family, as kubelet's /metrics/cadvisor has them. */
export const BASE_LABELS = ['container', 'id', 'image', 'name', 'namespace', 'pod'] as const;

/** Says what samples are about: a value for each base label. */
export type Identity = Readonly<Record<(typeof BASE_LABELS)[number], string>>;

/** Values of a family's own labels, and the number; nothing where it is not known. */
export type Values = readonly (readonly [value: number | undefined, ...labels: string[]])[];

/** A metric family and how its values come out of what was read. */
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

/** Makers of families that are read from the same input. */
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
