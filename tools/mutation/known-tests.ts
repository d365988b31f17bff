import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ImportGraph } from './import-graph';
import type { TestProcess } from './test-process';

/** The behaviour of a test file without a mutant. */
export interface Baseline {
  readonly failures: readonly string[];
  readonly ms: number;
  /** The positions of the functions of `src` that ran, by file. */
  readonly reached: Readonly<Record<string, readonly number[]>>;
}

/** The time limit of a baseline. A test file that takes longer is not run for mutants. */
const LIMIT_MS = 60_000;

/**
 * Baselines of test files. They are measured on demand, and kept on disk while no file that they import
 * changes.
 */
export class KnownTests {
  private readonly known: Record<string, { readonly state: string; readonly baseline: Baseline } | undefined>;
  private readonly asked = new Map<string, Promise<Baseline>>();
  private readonly digests = new Map<string, string>();

  constructor(
    private readonly root: string,
    private readonly graph: ImportGraph,
    private readonly cacheFile: string,
    private readonly tests: TestProcess,
  ) {
    this.known = readJson(cacheFile);
  }

  /** Returns the baseline of a test file. A change of a file during the run is not noticed. */
  of(test: string): Promise<Baseline> {
    let baseline = this.asked.get(test);
    if (baseline === undefined) {
      baseline = this.find(test);
      this.asked.set(test, baseline);
    }
    return baseline;
  }

  private async find(test: string): Promise<Baseline> {
    const files = [...this.graph.distancesFrom(test).keys()].sort();
    const state = digest(files.map((file) => `${file} ${this.digestOf(file)}`).join('\n'));
    const before = this.known[test];
    if (before?.state === state) return before.baseline;

    const start = performance.now();
    const outcome = await this.tests.run({ test, instrument: true, testTimeoutMs: LIMIT_MS }, LIMIT_MS);
    const baseline: Baseline = {
      failures: outcome?.failures ?? [`no end within ${LIMIT_MS / 1000} s`],
      ms: Math.round(performance.now() - start),
      reached: outcome?.reached ?? {},
    };
    this.known[test] = { state, baseline };
    mkdirSync(dirname(this.cacheFile), { recursive: true });
    writeFileSync(this.cacheFile, JSON.stringify(this.known));
    return baseline;
  }

  private digestOf(file: string): string {
    let found = this.digests.get(file);
    if (found === undefined) {
      found = digest(readFileSync(join(this.root, file)));
      this.digests.set(file, found);
    }
    return found;
  }
}

function digest(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function readJson(
  file: string,
): Record<string, { readonly state: string; readonly baseline: Baseline } | undefined> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, { state: string; baseline: Baseline }>;
  } catch {
    return {};
  }
}
