import { access, constants } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errnoOf, messageOf } from '../../lib/errors';
import { exclusively, untilLastCommandEnds } from '../../migrate/apply/exclusive';
import { fileHashes } from '../../migrate/apply/file-hashes';
import { Journal } from '../../migrate/apply/journal';
import { checkPlace } from '../../migrate/apply/place';
import { readPlan, type PlanOnDisk } from '../../migrate/apply/read-plan';
import { Refused } from '../../migrate/apply/refused';
import type { StepTools } from '../../migrate/apply/run-step';
import { BashRunner } from '../../migrate/apply/runner';
import { Interrupted, StepFailed } from '../../migrate/apply/step-failed';
import { nextEndSignal } from '../end-process';

/** The options of `apply` and `rollback`. */
export interface PlanCommandOptions {
  readonly plan: string;
  readonly step?: string;
  readonly kubeconfig?: string;
  readonly systemctl: string;
  readonly skip: readonly string[];
}

/** What only tests replace. */
export interface PlanCommandOverrides {
  /** The directory of the claims that exclude a second command. */
  readonly claims?: string;
  /** The command line of this dockbridge. */
  readonly dockbridge?: readonly string[];
  readonly hostname?: () => Promise<string>;
  readonly againMs?: number;
  /** Fires when the user ends the command. */
  readonly signal?: AbortSignal;
  /** The files of the node as the inventory would find them now. */
  readonly present?: (plan: PlanOnDisk) => Promise<ReadonlyMap<string, string>>;
}

type PlanCommandName = 'apply' | 'rollback';

const FAILED = 1;
const REFUSED = 3;
export const DRAIN_FIRST = 4;
/** What a shell reports for a program that SIGINT has ended. */
const INTERRUPTED = 130;

/**
 * Reads the plan, makes sure that nobody else works on the node, and runs `work`.
 * @returns the exit code: that of `work`, or 1 when a step failed, 3 when the plan is refused, 130 when the user has ended the command.
 */
export async function withPlan(
  name: PlanCommandName,
  options: PlanCommandOptions,
  overrides: PlanCommandOverrides,
  work: (plan: PlanOnDisk, tools: StepTools) => Promise<number>,
): Promise<number> {
  const end = overrides.signal ?? interrupted();
  try {
    const directory = await checkPlace(options.plan);
    const plan = await readPlan(directory, overrides.hostname);
    const kubeconfig = await readable(options.kubeconfig);
    const what = `dockbridge migrate ${name} --plan ${directory}`;
    return await exclusively(
      what,
      () => withJournal(plan, kubeconfig, end, options, overrides, work),
      overrides.claims,
    );
  } catch (error) {
    process.stderr.write(`dockbridge migrate ${name}: ${messageOf(error)}\n`);
    if (error instanceof StepFailed || error instanceof Interrupted)
      process.stderr.write(nextSteps(name, options));
    if (error instanceof Interrupted) return INTERRUPTED;
    return error instanceof Refused ? REFUSED : FAILED;
  }
}

async function withJournal(
  plan: PlanOnDisk,
  kubeconfig: string | undefined,
  signal: AbortSignal,
  options: PlanCommandOptions,
  overrides: PlanCommandOverrides,
  work: (plan: PlanOnDisk, tools: StepTools) => Promise<number>,
): Promise<number> {
  const journal = await Journal.open(plan.directory, plan.sha256);
  // The commands run in the directory of the plan.
  const systemctl = options.systemctl.includes('/') ? resolve(options.systemctl) : options.systemctl;
  const dockbridge = overrides.dockbridge ?? [process.execPath, ...process.execArgv, process.argv[1] ?? ''];
  try {
    await untilLastCommandEnds(journal, signal, say);
    return await work(plan, {
      ...{ journal, signal, say },
      runner: new BashRunner({ directory: plan.directory, systemctl, dockbridge, kubeconfig }),
      hasCluster: kubeconfig !== undefined,
      hashes: fileHashes,
      againMs: overrides.againMs,
    });
  } finally {
    await journal.close();
  }
}

/** Returns the number of a step, which the user names by its number or its id. @throws Error for another one. */
export function stepNumber({ steps }: Pick<PlanOnDisk, 'steps'>, name: string, option = '--step'): number {
  const number = /^\d+$/.test(name) ? Number(name) : steps.findIndex(({ id }) => id === name) + 1;
  if (number < 1 || number > steps.length)
    throw new Error(
      `${option} ${name}: the plan has the steps 1 to ${steps.length}; plan.md lists them with their ids`,
    );
  return number;
}

/** Returns the ids of the steps that are left out. @throws Error for one that the plan does not have. */
export function skippedSteps(plan: Pick<PlanOnDisk, 'steps'>, { skip }: PlanCommandOptions): string[] {
  return skip.flatMap((name) => plan.steps[stepNumber(plan, name, '--skip') - 1]?.id ?? []);
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function readable(kubeconfig: string | undefined): Promise<string | undefined> {
  if (kubeconfig === undefined) return undefined;
  const path = resolve(kubeconfig);
  await access(path, constants.R_OK).catch((error: unknown) => {
    throw new Error(`--kubeconfig: ${path} cannot be read (${errnoOf(error) ?? messageOf(error)})`, {
      cause: error,
    });
  });
  return path;
}

function nextSteps(name: PlanCommandName, { plan }: PlanCommandOptions): string {
  const [apply, rollback] = name === 'apply' ? ['continue:', 'go back:'] : ['forward:', 'continue:'];
  const lines = [
    `  ${apply.padEnd(10)} dockbridge migrate apply --plan ${plan}\n`,
    `  ${rollback.padEnd(10)} dockbridge migrate rollback --plan ${plan}\n`,
  ];
  return (name === 'apply' ? lines : lines.reverse()).join('');
}

/** A signal that fires when the process is asked to end. A second signal ends the process at once. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  // A terminal that is gone must not end the command in the middle of a step.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  void nextEndSignal(['SIGHUP']).then((name) => {
    process.stderr.write(`${name}: ending the current command …\n`);
    controller.abort(new Error(`ended by ${name}`));
  });
  return controller.signal;
}
