/** `make mutation`: reports small faults in `src` that the unit tests would not notice (docs/testing.md). */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Judge, type Verdict } from './judge';
import { filesUnder, ImportGraph, TestsByDistance } from './import-graph';
import { KnownTests } from './known-tests';
import { mutantsOf, type Mutant } from './mutants';
import { describe, scoreLine } from './report';
import { sampleOf } from './sample';
import { TestProcess } from './test-process';

const ROOMS = ['translate', 'store', 'containers', 'sync', 'logs', 'network', 'streaming', 'stats', 'server'];
/** Generated files, and files with nothing but types. */
const NOT_MUTATED = /(^src\/proto\/gen\/|\.d\.ts$)/;

/** A mutant that behaves like the original, which no test can notice. */
interface Equivalent {
  readonly id: string;
  /** The name of the file without its folder. */
  readonly file: string;
  readonly reason: string;
}

/** The settings in the environment. */
interface Options {
  /** Rooms of `src`, or single files, under their names in the report. */
  readonly parts: readonly (readonly [name: string, files: readonly string[]])[];
  /** Ids of mutants, in place of a sample. */
  readonly ids: readonly string[];
  readonly sampleSize: number;
  readonly seed: string;
  readonly testFiles: number;
}

function optionsFrom(env: NodeJS.ProcessEnv, root: string): Options {
  const listOf = (text = ''): string[] => text.split(/[\s,]+/).filter((part) => part !== '');
  const all = filesUnder(root, 'src', '.ts').filter((file) => !NOT_MUTATED.test(file));
  const files = listOf(env.FILES);
  const rooms = listOf(env.ROOM);
  const parts =
    files.length > 0
      ? [['FILES', files] as const]
      : (rooms.length > 0 ? rooms : ROOMS)
          .map((room) => [room, all.filter((file) => file.startsWith(`src/${room}/`))] as const)
          .filter((part) => part[1].length > 0);
  if (parts.length === 0) throw new Error(`src/ has no room ${rooms.join(', ')}`);
  return {
    parts,
    ids: listOf(env.MUTANTS),
    sampleSize: Number(env.SAMPLE ?? '') || Infinity,
    seed: env.SEED === undefined || env.SEED === '' ? '1' : env.SEED,
    testFiles: Number(env.TEST_FILES ?? '') || 6,
  };
}

async function main(root: string, tool: string): Promise<void> {
  const { parts, ids, sampleSize, seed, testFiles } = optionsFrom(process.env, root);
  const listed = readFileSync(join(root, 'tools/mutation/equivalents.json'), 'utf8');
  const equivalents = new Map((JSON.parse(listed) as Equivalent[]).map((one) => [one.id, one]));
  const graph = new ImportGraph(root);
  const near = new TestsByDistance(filesUnder(root, 'test/unit', '.test.ts'), graph);
  const tests = new TestProcess(root, join(tool, 'worker.js'));
  const known = new KnownTests(root, graph, join(root, 'coverage/mutation/baselines.json'), tests);
  const broken = new Set<string>();
  const judge = new Judge(tests, near, known, testFiles, (test, failure) => {
    if (!broken.has(test))
      console.log(`  ${test} is left out, because it fails without a mutant: ${failure}`);
    broken.add(test);
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => void tests.end().finally(() => process.exit(130)));

  const scores: string[] = [];
  try {
    for (const [name, files] of parts) {
      const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
      const all = [...texts].flatMap(([file, text]) => mutantsOf(file, text));
      const mutants = all.filter(({ id }) => !equivalents.has(id));
      warnOfStale([...equivalents.values()], all);
      const sample =
        ids.length > 0 ? mutants.filter(({ id }) => ids.includes(id)) : sampleOf(mutants, sampleSize, seed);
      console.log(
        `\n${name}: ${sample.length} of ${mutants.length} mutants in ${files.length} files, seed ${seed}`,
      );
      const verdicts: Verdict[] = [];
      for (const mutant of sample) {
        const verdict = await judge.judge(mutant, texts.get(mutant.file) ?? '');
        verdicts.push(verdict);
        if (verdict.fate === 'survived' || verdict.fate === 'unreached') console.log(describe(verdict));
      }
      scores.push(scoreLine(name, verdicts, all.length - mutants.length));
      console.log(scores.at(-1));
    }
    if (parts.length > 1) console.log(`\n${scores.join('\n')}`);
  } finally {
    await tests.end();
  }
}

/** Prints the listed ids that no mutant has. If the code of a mutant changes, its id changes too. */
function warnOfStale(equivalents: readonly Equivalent[], mutants: readonly Mutant[]): void {
  const files = new Set(mutants.map(({ file }) => basename(file)));
  const ids = new Set(mutants.map(({ id }) => id));
  for (const { id, file } of equivalents)
    if (files.has(file) && !ids.has(id))
      console.log(`  equivalents.json lists ${id} of ${file}, but no mutant has this id any more`);
}

const [, tool = '', root = process.cwd()] = process.argv;
main(root, join(tool, '..')).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
