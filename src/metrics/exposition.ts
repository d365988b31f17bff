export interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly labelKeys: readonly string[];
}

export interface Sample {
  /** The name of its family. */
  readonly name: string;
  readonly labelValues: readonly string[];
  readonly value: number;
}

/** Writes samples in Prometheus' text format. Each piece is one family, because all lines of a family must be together. */
export function* exposition(families: readonly Family[], samples: Iterable<Sample>): Generator<string> {
  const byName = new Map<string, Sample[]>();
  for (const sample of samples) {
    const known = byName.get(sample.name);
    if (known === undefined) byName.set(sample.name, [sample]);
    else known.push(sample);
  }
  for (const { name, help, kind, labelKeys } of families) {
    const own = byName.get(name);
    if (own === undefined) continue;
    const lines = own.map(
      ({ labelValues, value }) => `${name}{${labels(labelKeys, labelValues)}} ${numeral(value)}\n`,
    );
    yield `# HELP ${name} ${escape(help)}\n# TYPE ${name} ${kind}\n${lines.join('')}`;
  }
}

function labels(keys: readonly string[], values: readonly string[]): string {
  return keys.map((key, at) => `${key}="${escape(values[at] ?? '').replaceAll('"', '\\"')}"`).join(',');
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function numeral(value: number): string {
  return value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value);
}
