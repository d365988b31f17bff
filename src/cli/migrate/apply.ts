import { applyPlan, linesForPerson, pendingSteps, remainsOf } from '../../migrate/apply/apply';
import { changesOf, presentFiles, type Change } from '../../migrate/apply/changed';
import { checkSources, type PlanOnDisk } from '../../migrate/apply/read-plan';
import { Refused } from '../../migrate/apply/refused';
import type { StepTools } from '../../migrate/apply/run-step';
import { DRAIN } from '../../migrate/plan/cluster-steps';
import {
  DRAIN_FIRST,
  say,
  skippedSteps,
  stepNumber,
  withPlan,
  type PlanCommandOptions,
  type PlanCommandOverrides,
} from './with-plan';

export interface ApplyCommand extends PlanCommandOptions {
  readonly drained: boolean;
  readonly acceptChange: readonly string[];
}

/**
 * Implements `dockbridge migrate apply`: does the steps of a plan on this node.
 * @returns the exit code: 0 when the steps are done, 4 when a person has to drain the node first, and as `withPlan`.
 */
export async function apply(options: ApplyCommand, overrides: PlanCommandOverrides = {}): Promise<number> {
  return withPlan('apply', options, overrides, async (plan, tools) => {
    const { drained } = options;
    const skip = skippedSteps(plan, options);
    const until = options.step === undefined ? undefined : stepNumber(plan, options.step);
    if (pendingSteps(plan, until, tools).length > 0) {
      await checkSources(plan);
      const present = await (overrides.present ?? presentFiles)(plan);
      refuseChanges(plan, tools, changesOf(plan, tools.journal, present), options.acceptChange);
    }
    const result = await applyPlan(plan, { until, drained, skip }, tools);
    if (result === 'drain') return askForDrain(plan, options);
    const isComplete = until === undefined || until >= plan.steps.length;
    say(isComplete ? 'All steps that apply does are done.' : `The steps 1 to ${until} are done.`);
    if (isComplete) sayRemains(plan, tools);
    else say(`Continue with: dockbridge migrate apply --plan ${options.plan}`);
    return 0;
  });
}

function refuseChanges(
  plan: PlanOnDisk,
  { journal }: StepTools,
  found: readonly Change[],
  accepted: readonly string[],
): void {
  const changes = found.filter(({ path }) => !accepted.includes(path));
  if (changes.length === 0) return;
  const lines = changes.map(({ path, what }) => `\n  ${path} ${what}`);
  const hasBegun = plan.steps.some(({ id }) => journal.wasBegun(id));
  throw new Refused(
    `the node is not as it was when the plan was made:${lines.join('')}\n` +
      (hasBegun
        ? 'Restore these files, or go back with `dockbridge migrate rollback` and make a new plan.'
        : 'Make a new plan: `dockbridge migrate plan`.') +
      ' If you know that the change does not matter for the plan: --accept-change PATH.',
  );
}

function askForDrain({ steps }: PlanOnDisk, { plan }: ApplyCommand): number {
  const drain = steps.find(({ id }) => id === DRAIN);
  say('Drain the node now. Run these lines where kubectl reaches the cluster:');
  for (const line of drain === undefined ? [] : linesForPerson(drain)) say(line);
  say(`Then: dockbridge migrate apply --plan ${plan} --drained`);
  return DRAIN_FIRST;
}

function sayRemains(plan: PlanOnDisk, tools: StepTools): void {
  const lines = remainsOf(plan, tools);
  if (lines.length === 0) return;
  say('What remains for you, in this order:');
  for (const line of lines) say(line);
}
