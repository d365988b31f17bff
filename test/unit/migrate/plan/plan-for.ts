import type { Target } from '../../../../src/migrate/mapping/row';
import { makePlan, type Plan, type PlanInput } from '../../../../src/migrate/plan/plan';
import { nodeFacts, type FakeNode } from './node-facts';

/** Makes the plan of a node. */
export function planFor(
  node: FakeNode = {},
  target: Target = 'containerd',
  more: Partial<PlanInput> = {},
): Plan {
  return makePlan({
    facts: nodeFacts(node),
    findings: [],
    target,
    version: '1',
    accepted: [],
    keepDocker: false,
    originals: new Map(),
    ...more,
  });
}

/** The step of a plan with this id. */
export const stepOf = ({ steps }: Plan, id: string) => steps.find((one) => one.id === id)!;
