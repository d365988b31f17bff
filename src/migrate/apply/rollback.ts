import type { Step } from '../plan/step';
import { headline } from './apply';
import { keepForeign } from './keep-foreign';
import type { PlanOnDisk } from './read-plan';
import { undoStep, type Expected, type StepTools } from './run-step';

export interface RollbackOptions {
  /** The number of the first step that is taken back; 1 for all. */
  readonly from: number;
  /** Ids of steps whose undo is left out. */
  readonly skip: readonly string[];
}

/**
 * Takes back the steps that were done or begun, the last one first.
 * @returns how many steps were taken back.
 * @throws StepFailed, Interrupted.
 */
export async function rollBack(
  plan: PlanOnDisk,
  options: RollbackOptions,
  tools: StepTools,
): Promise<number> {
  const { journal, say, hasCluster } = tools;
  let count = 0;
  for (let at = plan.steps.length - 1; at >= options.from - 1; at--) {
    const step = plan.steps[at];
    const state = step === undefined ? 'open' : journal.stateOf(step.id);
    if (step === undefined || state === 'open') continue;
    count++;
    say(headline(plan, at));
    const isLeftOut = state === 'skipped' || options.skip.includes(step.id);
    if (isLeftOut || (step.place === 'cluster' && !hasCluster)) {
      if (isLeftOut) say('    nothing is taken back: the step or its undo was skipped');
      else for (const command of step.undo) say(`    run where kubectl reaches the cluster: ${command}`);
      await journal.write(step.id, 'undone', isLeftOut ? 'skipped' : 'printed');
      continue;
    }
    if (step.undo.length === 0) say('    there is nothing to take back');
    else await keepForeign(plan, step.id, state, tools);
    await undoStep(step, expectedBefore(plan, step), tools);
  }
  return count;
}

function expectedBefore({ files }: PlanOnDisk, { id, undo }: Step): Expected {
  const own = undo.length === 0 ? [] : files.filter(({ step }) => step === id);
  return new Map(own.map(({ path, sha256Before }) => [path, sha256Before]));
}
