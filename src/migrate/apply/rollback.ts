import type { Step } from '../plan/step';
import { headline } from './apply';
import { keepForeign } from './keep-foreign';
import type { PlanOnDisk } from './read-plan';
import { throwIfInterrupted, undoStep, type Expected, type StepTools } from './run-step';

export interface RollbackOptions {
  /** The number of the first step that is taken back; 1 for all. */
  readonly from: number;
  /** Ids of steps whose undo is left out. */
  readonly skip: readonly string[];
}

export interface RollbackResult {
  /** How many steps were taken back. */
  readonly count: number;
  /** Commands for kubectl that are left to a person, in their order. */
  readonly forPerson: readonly string[];
}

/**
 * Takes back the steps that were done or begun, the last one first.
 * @throws StepFailed, Interrupted.
 */
export async function rollBack(
  plan: PlanOnDisk,
  options: RollbackOptions,
  tools: StepTools,
): Promise<RollbackResult> {
  const { journal, say, hasCluster } = tools;
  let count = 0;
  const forPerson: string[] = [];
  for (let at = plan.steps.length - 1; at >= options.from - 1; at--) {
    const step = plan.steps[at];
    const state = step === undefined ? 'open' : journal.stateOf(step.id);
    if (step === undefined || state === 'open') continue;
    throwIfInterrupted(tools.signal);
    count++;
    say(headline(plan, at));
    const isLeftOut = state === 'skipped' || options.skip.includes(step.id);
    if (isLeftOut || (step.place === 'cluster' && !hasCluster)) {
      if (isLeftOut) say('    nothing is taken back: the step or its undo was skipped');
      else {
        for (const command of step.undo) say(`    is left to you: ${command}`);
        forPerson.push(...step.undo);
      }
      await journal.write(step.id, 'undone', isLeftOut ? 'skipped' : 'printed');
      continue;
    }
    if (step.undo.length === 0) say('    there is nothing to take back');
    else await keepForeign(plan, step.id, state, tools);
    await undoStep(step, expectedBefore(plan, step), tools);
  }
  return { count, forPerson };
}

function expectedBefore({ files }: PlanOnDisk, { id, undo }: Step): Expected {
  const own = undo.length === 0 ? [] : files.filter(({ step }) => step === id);
  return new Map(own.map(({ path, sha256Before }) => [path, sha256Before]));
}
