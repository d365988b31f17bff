import { pause } from '../../lib/async/abortable';
import { checkLine, type Check } from '../plan/check';
import type { Step } from '../plan/step';
import type { Journal } from './journal';
import { judge } from './judge';
import type { Outcome, Runner } from './runner';
import { failureOf, Interrupted, StepFailed } from './step-failed';

/** What a step needs. */
export interface StepTools {
  readonly journal: Journal;
  readonly runner: Runner;
  /** Fires when the user ends the command. */
  readonly signal: AbortSignal;
  /** Whether commands for kubectl are run; otherwise they are printed. */
  readonly hasCluster: boolean;
  /** Prints a line for the user. */
  readonly say: (line: string) => void;
  /** SHA-256 of files of the node by path; a file that does not exist has no entry. */
  readonly hashes: (paths: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  /** How long to wait before a check is repeated, ms; tests replace it. */
  readonly againMs?: number | undefined;
}

/** What the files of a step must be after it: SHA-256 by path, null for a file that must not exist. */
export type Expected = ReadonlyMap<string, string | null>;

const AGAIN_MS = 1_000;
/** `kubectl wait` itself waits for five minutes. */
const CHECK_MS = 360_000;

/**
 * Does one step of the plan: the commands, and then the checks. A step that needs nothing is skipped.
 * @throws StepFailed, Interrupted. The journal then has what was begun.
 */
export async function runStep(step: Step, expected: Expected, tools: StepTools): Promise<void> {
  const { journal, say } = tools;
  const wasInterrupted = journal.stateOf(step.id) === 'begun';
  if (step.isDoneWhenChecked && (await isDone(step, tools))) {
    // A step that an earlier run has begun is this plan's work, which a rollback takes back.
    await journal.write(step.id, wasInterrupted ? 'done' : 'skipped', 'its checks succeed already');
    say('    nothing to do: its checks succeed already');
    return;
  }
  await journal.write(step.id, 'begun');
  await failing(step, 'step', tools, async () => {
    for (const command of step.commands) await runCommand(step, step.place, command, tools);
    await checkAll(step.check, tools);
    await checkFiles(expected, tools);
  });
  await journal.write(step.id, 'done');
}

/**
 * Takes one step back: the undo commands, and then their checks.
 * @throws StepFailed, Interrupted. The journal then has that the undo has begun.
 */
export async function undoStep(step: Step, expected: Expected, tools: StepTools): Promise<void> {
  const { journal } = tools;
  await journal.write(step.id, 'undoing');
  await failing(step, 'undo of the step', tools, async () => {
    for (const command of step.undo) await runCommand(step, step.place, command, tools);
    await checkAll(step.undoCheck, tools);
    await checkFiles(expected, tools);
  });
  await journal.write(step.id, 'undone');
}

/** Runs `work`, writes a failure into the journal, and names the step in the error. */
async function failing(
  { id }: Step,
  what: 'step' | 'undo of the step',
  { journal }: StepTools,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Interrupted) await journal.write(id, 'failed', 'the user has ended it');
    if (!(error instanceof StepFailed)) throw error;
    // The message has output of commands, which may be secret.
    await journal.write(id, 'failed', 'a command or a check has failed');
    throw new StepFailed(`the ${what} ${id} failed: ${error.message}`, { cause: error });
  }
}

async function isDone(step: Step, tools: StepTools): Promise<boolean> {
  const checks = step.check.filter(({ result }) => result !== 'person');
  if (checks.length === 0) return false;
  for (const check of checks) if (judge(check, await runCheck(check, tools)) !== '') return false;
  return true;
}

async function runCommand(
  { id, limitSeconds }: Step,
  place: Step['place'],
  command: string,
  { runner, journal, signal, say }: StepTools,
): Promise<void> {
  say(`    $ ${command}`);
  const outcome = await runner.run(command, {
    limitMs: limitSeconds * 1_000,
    signal,
    place,
    onStart: (name) => journal.write(id, 'command', name),
    onLine: (line) => say(`      ${line}`),
  });
  throwIfInterrupted(signal);
  const why = outcome.problem || (outcome.exitCode === 0 ? '' : `exit code ${outcome.exitCode ?? 'unknown'}`);
  // The output was shown when it came.
  if (why !== '') throw failureOf('a command failed', command, why, '');
}

async function checkAll(checks: readonly Check[], tools: StepTools): Promise<void> {
  for (const check of checks) {
    const isForPerson = check.result === 'person' || (check.place === 'cluster' && !tools.hasCluster);
    if (isForPerson) tools.say(`    to look at: ${checkLine(check)}`);
    else await checkOne(check, tools);
  }
}

/** Repeats a check until it succeeds, or until its time is over. */
async function checkOne(check: Check, tools: StepTools): Promise<void> {
  const { signal, say, againMs = AGAIN_MS } = tools;
  say(`    check: ${checkLine(check)}`);
  const end = performance.now() + check.withinSeconds * 1_000;
  for (;;) {
    const outcome = await runCheck(check, tools);
    throwIfInterrupted(signal);
    const why = judge(check, outcome);
    if (why === '') return;
    if (performance.now() >= end) {
      const waited = check.withinSeconds === 0 ? '' : ` within ${check.withinSeconds} s`;
      throw failureOf(`a check did not succeed${waited}`, check.command, why, outcome.output);
    }
    await pause(againMs, signal);
    throwIfInterrupted(signal);
  }
}

async function runCheck({ command, place }: Check, { runner, signal }: StepTools): Promise<Outcome> {
  return runner.run(command, { limitMs: CHECK_MS, signal, place });
}

async function checkFiles(expected: Expected, { hashes }: StepTools): Promise<void> {
  if (expected.size === 0) return;
  const found = await hashes([...expected.keys()]);
  const wrong = [...expected].filter(([path, hash]) => (found.get(path) ?? null) !== hash);
  if (wrong.length === 0) return;
  const lines = wrong.map(
    ([path, hash]) => `\n    ${path} ${hash === null ? 'exists' : 'has another text than the plan wants'}`,
  );
  throw new StepFailed(`the files are not as they must be:${lines.join('')}`);
}

/** @throws Interrupted. */
export function throwIfInterrupted(signal: AbortSignal): void {
  if (signal.aborted) throw new Interrupted('the command was interrupted');
}
