import { counted } from '../../lib/counted';
import { rollBack } from '../../migrate/apply/rollback';
import { say, stepNumber, withPlan, type PlanCommandOptions, type PlanCommandOverrides } from './with-plan';

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
    const count = await rollBack(plan, { from, skip: options.skip }, tools);
    if (count === 0) say('There is nothing to take back.');
    else
      say(
        `${counted(count, 'step')} taken back. Go forward again with: dockbridge migrate apply --plan ${options.plan}`,
      );
    return 0;
  });
}
