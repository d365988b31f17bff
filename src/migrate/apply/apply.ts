import { DRAIN } from '../plan/cluster-steps';
import { checkLine } from '../plan/check';
import type { Step } from '../plan/step';
import type { PlanOnDisk } from './read-plan';
import { runStep, throwIfInterrupted, type Expected, type StepTools } from './run-step';

export interface ApplyOptions {
  /** The number of the last step to do; undefined for all. */
  readonly until: number | undefined;
  /** Whether a person has drained the node. */
  readonly drained: boolean;
  /** Ids of steps that are left out, because the user did them by hand or does without them. */
  readonly skip: readonly string[];
}

/** How `apply` ended: `drain` when a person has to drain the node first. */
export type ApplyResult = 'done' | 'drain';

/**
 * Does the steps of a plan that are not done yet, in their order.
 * @throws StepFailed, Interrupted.
 */
export async function applyPlan(
  plan: PlanOnDisk,
  options: ApplyOptions,
  tools: StepTools,
): Promise<ApplyResult> {
  const { journal, say, hasCluster } = tools;
  for (const step of pendingSteps(plan, options.until, tools)) {
    throwIfInterrupted(tools.signal);
    say(headline(plan, plan.steps.indexOf(step)));
    if (options.skip.includes(step.id)) {
      await journal.write(step.id, 'skipped', 'by --skip');
      say('    skipped because of --skip');
    } else if (step.id === DRAIN && options.drained) {
      await journal.write(step.id, 'done', 'by hand, says --drained');
      say('    done by hand');
    } else if (step.place === 'cluster' && !hasCluster) {
      if (step.id === DRAIN) return 'drain';
      await journal.write(step.id, 'printed');
      say('    is left to you, see below');
    } else await runStep(step, expectedAfter(plan, step), tools);
  }
  return 'done';
}

/** Returns the steps that are to be done, up to a number. Those of the cluster that were printed are done when kubectl is at hand. */
export function pendingSteps(
  { steps }: PlanOnDisk,
  until: number | undefined,
  { journal, hasCluster }: Pick<StepTools, 'journal' | 'hasCluster'>,
): Step[] {
  return steps.slice(0, until).filter(({ id, isManual }) => {
    const state = journal.stateOf(id);
    return !isManual && state !== 'done' && state !== 'skipped' && (state !== 'printed' || hasCluster);
  });
}

/** Returns the title of a step with its number. */
export function headline({ steps }: Pick<PlanOnDisk, 'steps'>, at: number): string {
  const step = steps[at];
  return step === undefined ? '' : `[${at + 1}/${steps.length}] ${step.title} (${step.id})`;
}

/** Returns what is left to a person when `apply` has ended, as lines. */
export function remainsOf(plan: PlanOnDisk, { journal }: Pick<StepTools, 'journal'>): string[] {
  return plan.steps.flatMap((step, at) => {
    const isPrinted = journal.stateOf(step.id) === 'printed';
    if ((!isPrinted && !step.isManual) || step.commands.length === 0) return [];
    return [headline(plan, at), ...linesForPerson(step)];
  });
}

/** Returns the commands and checks of a step, for a person who runs them. */
export function linesForPerson({ commands, check }: Step): string[] {
  return [...commands.map((command) => `    ${command}`), ...check.map((one) => `    ${checkLine(one)}`)];
}

function expectedAfter({ files }: PlanOnDisk, { id, commands }: Step): Expected {
  // A step without commands leaves its files to a person.
  const own = commands.length === 0 ? [] : files.filter(({ step }) => step === id);
  return new Map(own.map(({ path, sha256After }) => [path, sha256After]));
}
