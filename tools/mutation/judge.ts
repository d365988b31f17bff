import { mutated, type Mutant } from './mutants';
import { functionAround } from './reach';
import type { KnownTests } from './known-tests';
import type { TestsByDistance } from './import-graph';
import type { TestProcess } from './test-process';
import type { Run } from './worker';

/** The result of a mutant. `unreached` means that it survived because no test runs its function. */
export type Fate = 'killed' | 'timeout' | 'survived' | 'unreached';

export interface Verdict {
  readonly mutant: Mutant;
  readonly fate: Fate;
  /** The test file that noticed the mutant. */
  readonly by?: string;
  readonly filesRun: number;
  readonly ms: number;
}

/**
 * The number of the nearest test files that are asked whether they run the mutant's function. Further files
 * are asked, up to MAX_LOOKS_FOR_ONE, only while none does.
 */
const MAX_LOOKS = 12;
const MAX_LOOKS_FOR_ONE = 40;

/** Finds out whether tests notice a mutant. */
export class Judge {
  /** @param maxFiles the maximum number of test files that run for one mutant. */
  constructor(
    private readonly tests: TestProcess,
    private readonly near: TestsByDistance,
    private readonly known: KnownTests,
    private readonly maxFiles: number,
    private readonly onBroken: (test: string, failure: string) => void,
  ) {}

  /** @param text of the mutant's file, as it is on disk. */
  async judge(mutant: Mutant, text: string): Promise<Verdict> {
    const { file } = mutant;
    const inFunction = functionAround(file, text)(mutant.start);
    const instead = { file, text: mutated(text, mutant) };
    const start = performance.now();
    let filesRun = 0;
    const verdict = (fate: Fate, by?: string): Verdict => ({
      mutant,
      fate,
      ...(by === undefined ? {} : { by }),
      filesRun,
      ms: performance.now() - start,
    });
    for (const [looks, test] of this.near.of(file).entries()) {
      if (filesRun === this.maxFiles || looks >= (filesRun === 0 ? MAX_LOOKS_FOR_ONE : MAX_LOOKS)) break;
      const { failures, ms, reached } = await this.known.of(test);
      if (failures[0] !== undefined) {
        this.onBroken(test, failures[0]);
        continue;
      }
      if (!(reached[file] ?? []).includes(inFunction)) continue;
      filesRun += 1;
      const end = await this.runWith(test, instead, 10_000 + 5 * ms);
      if (end !== 'passed') return verdict(end, test);
    }
    return verdict(filesRun === 0 ? 'unreached' : 'survived');
  }

  private async runWith(
    test: string,
    instead: NonNullable<Run['instead']>,
    limitMs: number,
  ): Promise<'passed' | 'killed' | 'timeout'> {
    const outcome = await this.tests.run(
      { test, instead, instrument: false, testTimeoutMs: limitMs },
      1.5 * limitMs,
    );
    if (outcome === undefined) return 'timeout';
    return outcome.failures.length === 0 ? 'passed' : 'killed';
  }
}
