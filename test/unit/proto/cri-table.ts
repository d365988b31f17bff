import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A row of test/fixtures/cri-fields.tsv. A method has its request in `type` and its response in `label`. */
export interface Row {
  readonly kind: string;
  readonly parent: string;
  readonly name: string;
  readonly number: string;
  readonly type: string;
  readonly label: string;
  readonly options: string;
  /** For example `v0.20.0`; empty when no release has it yet. */
  readonly since: string;
}

export function readTable(): Row[] {
  const text = readFileSync(join(__dirname, '../../fixtures/cri-fields.tsv'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [
        kind = '',
        parent = '',
        name = '',
        number = '',
        type = '',
        label = '',
        options = '',
        since = '',
      ] = line.split('\t');
      return { kind, parent, name, number, type, label, options, since };
    });
}
