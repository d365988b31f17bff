import { resolve } from 'node:path';
import { OPTIONS } from '../../config/options';
import { readOnly } from '../../docker/decorators';
import { DockerodeClient } from '../../docker/dockerode-client';
import { messageOf } from '../../lib/errors';
import type { Finding } from '../../migrate/finding';
import { gatherFacts } from '../../migrate/gather/gather';
import { takeInventory } from '../../migrate/inventory/inventory';
import type { Target } from '../../migrate/mapping/row';
import { makePlan, PlanRefused, type Plan, type PlanInput } from '../../migrate/plan/plan';
import { dockerdProcessFiles } from '../../migrate/plan/proxy';
import { checkEmpty, readOriginals, readPermissions, writePlan } from '../../migrate/plan/write-plan';
import { DOCKBRIDGE_VERSION } from '../../release';
import { print } from '../cri/print';

export interface PlanCommand {
  readonly to: Target;
  readonly out: string;
  readonly root: string;
  readonly dockerEndpoint?: string | undefined;
  readonly keepDocker: boolean;
  readonly accept: readonly string[];
}

const REQUEST_MS = 30_000;
const FAILED = 1;
const REFUSED = 3;

/**
 * Implements `dockbridge migrate plan`: writes the plan of this node's migration into a new directory. Changes nothing else.
 * @returns the exit code: 0 when the plan is written, 3 when a finding forbids the migration, 1 when no plan can be made.
 */
export async function plan(options: PlanCommand): Promise<number> {
  const { to, out, keepDocker, accept } = options;
  const root = resolve(options.root);
  try {
    await checkEmpty(out);
    const endpoint = options.dockerEndpoint ?? OPTIONS.dockerEndpoint.fallback;
    const docker = readOnly(
      new DockerodeClient({ endpoint, requestTimeoutMs: REQUEST_MS }),
      'a plan changes nothing',
    );
    const facts = await gatherFacts({ root, docker, endpoint });
    if (facts.engine === undefined)
      throw new Error(
        `a plan needs the Engine at ${endpoint}: ${facts.engineError ?? 'no answer'}. Start it, or name another with --docker-endpoint`,
      );
    const made = await planOf(root, {
      facts,
      findings: takeInventory(facts, { keepDocker }),
      target: to,
      version: DOCKBRIDGE_VERSION,
      accepted: accept,
      keepDocker,
      originals: await readOriginals(root, Object.keys(facts.files), dockerdProcessFiles(facts)),
    });
    await writePlan(out, made);
    await print(summaryOf(out, made));
    return 0;
  } catch (error) {
    if (error instanceof PlanRefused) {
      process.stderr.write(refusalText(error));
      return REFUSED;
    }
    process.stderr.write(`dockbridge migrate plan: ${messageOf(error)}\n`);
    return FAILED;
  }
}

/** Makes the plan twice. The first plan says which files are replaced, and the second needs the texts and permissions of these files. */
async function planOf(root: string, input: PlanInput): Promise<Plan> {
  const replaced = makePlan(input).files.flatMap(({ path, copyOf }) => [
    path,
    ...(copyOf === undefined ? [] : [copyOf]),
  ]);
  const more = await readOriginals(root, replaced);
  return makePlan({
    ...input,
    originals: new Map([...input.originals, ...more]),
    permissions: await readPermissions(root, replaced),
  });
}

function summaryOf(out: string, { files, steps, findings }: Plan): string {
  const count = (severity: Finding['severity']) =>
    findings.filter((finding) => finding.severity === severity).length;
  return (
    `The plan is in ${out}: ${steps.length} steps, ${files.length} files. Read ${out}/plan.md first.\n` +
    `${count('change')} changes and ${count('review')} points to look at are listed there. Nothing on the node was changed.\n` +
    `Then do the steps with: dockbridge migrate apply --plan ${out}\n`
  );
}

/** Returns what the user reads when no plan can be made. */
export function refusalText({ message, findings, canAccept }: PlanRefused): string {
  const lines = findings.map(
    ({ id, summary, evidence, advice }) =>
      `  ${id}: ${summary} ${advice}\n${evidence.map(({ where, what }) => `    ${where}: ${what}\n`).join('')}`,
  );
  return (
    `dockbridge migrate plan: ${message}. No plan was written.\n${lines.join('')}` +
    (canAccept
      ? 'Resolve what is listed, or accept a finding with --accept ID if you know that it does not matter.\n'
      : 'Resolve what is listed, and plan again. --accept has no effect on these findings.\n')
  );
}
