import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface DockerdKey {
  /** The keys from the root. */
  readonly path: readonly string[];
  readonly origin: string;
  readonly sample: unknown;
}

/** The keys of dockerd's documented configuration. An option of a network driver has dots in its name. */
export function dockerdKeys(): DockerdKey[] {
  return readFileSync(join(__dirname, '../../../fixtures/dockerd-settings.tsv'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [key = '', origin = '', sample = ''] = line.split('\t');
      const parts = key.split('.');
      const path =
        parts[0] === 'default-network-opts' ? [...parts.slice(0, 2), parts.slice(2).join('.')] : parts;
      return { path, origin, sample: JSON.parse(sample) as unknown };
    });
}

/** A daemon.json with one setting. */
export function daemonJson(path: readonly string[], value: unknown): string {
  return JSON.stringify(
    path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value),
    null,
    2,
  );
}
