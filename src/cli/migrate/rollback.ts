import { counted } from '../../lib/counted';
import { rollBack } from '../../migrate/apply/rollback';
import {
  say,
  skippedSteps,
  stepNumber,
  withPlan,
  type PlanCommandOptions,
  type PlanCommandOverrides,
} from './with-plan';

/**
 * Implements `dockbridge migrate rollback`: takes back the steps of a plan that were done on this node.
 * @returns the exit code: 0 when they are taken back, and as `withPlan`.
 */
export async function rollback(
  options: PlanCommandOptions,
  overrides: PlanCommandOverrides = {},
): Promise<number> {
  return withPlan('rollback', options, overrides, async (plan, tools) => {
    const from = options.step === undefined ? 1 : stepNumber(plan, options.step);
    const { count, forPerson } = await rollBack(plan, { from, skip: skippedSteps(plan, options) }, tools);
    if (count === 0) say('There is nothing to take back.');
    else
      say(
        `${counted(count, 'step')} taken back. Go forward again with: dockbridge migrate apply --plan ${options.plan}`,
      );
    if (forPerson.length > 0) say('Run these lines where kubectl reaches the cluster, if you have not yet:');
    for (const command of forPerson) say(`    ${command}`);
    return 0;
  });
}
