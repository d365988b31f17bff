/**
 * The process that runs test files, one after another, with jest's own modules. It makes jest's preparations
 * only once. It can replace the text of a file of `src`. A mutant may hang or end this process, or break
 * shared state, so the mutation tester itself is another process.
 */
import type { Circus, Config } from '@jest/types';
import { createScriptTransformer, type ScriptTransformer } from '@jest/transform';
import type { EnvironmentContext, JestEnvironment, JestEnvironmentConfig } from '@jest/environment';
import type { TestResult } from '@jest/test-result';
import { readConfigs } from 'jest-config';
import NodeEnvironment from 'jest-environment-node';
import Runtime from 'jest-runtime';
import { setGlobal } from 'jest-util';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { HOOK, instrumented } from './reach';

/** One run of one test file. */
export interface Run {
  readonly test: string;
  /** A file of `src` whose text is replaced. */
  readonly instead?: { readonly file: string; readonly text: string };
  /** Makes every file of `src` report which of its functions run. */
  readonly instrument: boolean;
  /** Ends a test that waits for something that never comes. */
  readonly testTimeoutMs: number;
}

export interface Outcome {
  /** The names of the failed tests, or the reason why the file could not run. */
  readonly failures: readonly string[];
  /** The positions of the functions that ran, by file, if they were requested. */
  readonly reached: Readonly<Record<string, readonly number[]>>;
  readonly rssMiB: number;
}

type Compiled = ReturnType<ScriptTransformer['transform']>;
interface SwcJest {
  createTransformer(options: unknown): {
    process(text: string, path: string, options: unknown): { readonly code: string };
  };
}
type Framework = (
  global: Config.GlobalConfig,
  project: Config.ProjectConfig,
  environment: JestEnvironment,
  runtime: Runtime,
  testPath: string,
) => Promise<TestResult>;

/** The place where jest-circus looks for the time limit of a test. */
const TIMEOUT = Symbol.for('TEST_TIMEOUT_SYMBOL') as never;
const CONSOLE = new console.Console({ stdout: process.stderr, stderr: process.stderr });
for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir'] as const)
  CONSOLE[level] = () => undefined;

/** After the first failure the other tests of a file are skipped, because one is enough. */
class BailingEnvironment extends NodeEnvironment {
  private failed = false;

  handleTestEvent(event: Circus.Event): void {
    if (event.name === 'test_fn_failure' || event.name === 'hook_failure') this.failed = true;
    if (event.name === 'test_start' && this.failed) event.test.mode = 'skip';
  }
}

async function main(root: string): Promise<void> {
  const argv = {
    _: [],
    $0: '',
    selectProjects: ['unit'],
    runInBand: true,
    watchman: false,
  } as unknown as Config.Argv;
  const { globalConfig, configs } = await readConfigs(argv, [root]);
  const project = configs.find(({ displayName }) => displayName?.name === 'unit');
  if (project === undefined) throw new Error('jest.config.js has no project "unit"');
  const [, swcPath, swcOptions] = project.transform.find(([, path]) => path.includes('@swc')) ?? [];
  if (swcPath === undefined) throw new Error('jest.config.js does not use @swc/jest');
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- whatever jest.config.js names
  const swc = (require(swcPath) as SwcJest).createTransformer(swcOptions);
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const framework = interop(require(project.testRunner) as Framework | { readonly default: Framework });
  const { resolver } = await Runtime.createContext(project, {
    console: CONSOLE,
    maxWorkers: 1,
    watch: false,
    watchman: false,
  });

  const compile = (path: string, text: string): Compiled => {
    const { code } = swc.process(text, path, { supportsStaticESM: false, supportsDynamicImport: false });
    return { code, originalCode: text, sourceMapPath: null };
  };
  const telling = new Map<string, Compiled>();
  const tellingOne = (path: string): Compiled | undefined => {
    const file = relative(root, path);
    if (!/^src\/(?!proto\/gen\/).*\.ts$/.test(file)) return undefined;
    const compiled = telling.get(path) ?? compile(path, instrumented(file, readFileSync(path, 'utf8')));
    telling.set(path, compiled);
    return compiled;
  };

  const run = async ({ test, instead, instrument, testTimeoutMs }: Run): Promise<Outcome> => {
    const testPath = join(root, test);
    const changed = instead && {
      path: join(root, instead.file),
      compiled: compile(instead.file, instead.text),
    };
    const cache = new Map<string, string>();
    const plain = await createScriptTransformer(project, cache);
    const transformer = Object.create(plain, {
      transform: {
        value: (...args: Parameters<ScriptTransformer['transform']>) => {
          const [path] = args;
          if (path === changed?.path) return changed.compiled;
          return (instrument ? tellingOne(path) : undefined) ?? plain.transform(...args);
        },
      },
    }) as ScriptTransformer;

    const environmentConfig: JestEnvironmentConfig = { globalConfig, projectConfig: project };
    const context: EnvironmentContext = { console: CONSOLE, docblockPragmas: {}, testPath };
    const environment = new BailingEnvironment(environmentConfig, context);
    const reached: Record<string, Set<number>> = {};
    const hook = (file: string, position: number): void => void (reached[file] ??= new Set()).add(position);
    setGlobal(environment.global, 'console', CONSOLE, 'retain');
    setGlobal(environment.global, HOOK, hook, 'retain');
    const runtime = new Runtime(
      project,
      environment,
      resolver,
      transformer,
      cache,
      {
        collectCoverage: false,
        collectCoverageFrom: [],
        coverageProvider: 'v8',
      },
      testPath,
      globalConfig,
    );
    try {
      await environment.setup();
      setGlobal(environment.global, TIMEOUT, testTimeoutMs, 'retain');
      const result = await framework(globalConfig, project, environment, runtime, testPath);
      return {
        failures: failuresOf(result),
        reached: Object.fromEntries(
          Object.entries(reached).map(([file, positions]) => [file, [...positions]]),
        ),
        rssMiB: Math.round(process.memoryUsage().rss / 2 ** 20),
      };
    } finally {
      runtime.teardown();
      await environment.teardown();
    }
  };

  // Work that a mutant left running may fail at any later time.
  process.on('uncaughtException', () => undefined);
  process.on('unhandledRejection', () => undefined);
  process.on('disconnect', () => process.exit());
  process.on('message', (message: Run) => {
    run(message).then(
      (outcome) => process.send?.(outcome),
      (error: unknown) =>
        process.send?.({ failures: [String(error)], reached: {}, rssMiB: 0 } satisfies Outcome),
    );
  });
  process.send?.('ready');
}

function failuresOf({ testExecError, testResults, numPassingTests }: TestResult): string[] {
  if (testExecError !== undefined) return [testExecError.message];
  const failures = testResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
  return numPassingTests + failures.length === 0 && testResults.length === 0 ? ['no test ran'] : failures;
}

function interop(module: Framework | { readonly default: Framework }): Framework {
  return typeof module === 'function' ? module : module.default;
}

main(process.argv[2] ?? process.cwd()).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
