import { lstat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { messageOf } from '../../lib/errors';
import { SmallFile } from '../../node/disk/files';
import { NodeRoot } from '../gather/node-root';
import { readHost } from '../gather/host';
import type { Target } from '../mapping/row';
import { RESULTS, type Check } from '../plan/check';
import { PLAN_VERSION, type PlanFileJson } from '../plan/plan-json';
import { sha256 } from '../plan/sha256';
import type { Step } from '../plan/step';
import { Refused } from './refused';
import { flag, hash, list, matching, oneOf, orNull, record, seconds, shape, text, word } from './shape';

/** plan.json holds no file, only their names and hashes. */
const MAX_PLAN_BYTES = 16 << 20;
/** A configuration file is far smaller. */
const MAX_FILE_BYTES = 1 << 20;

/** A plan that was read from its directory. */
export interface PlanOnDisk {
  /** The directory, as an absolute path. */
  readonly directory: string;
  readonly target: Target;
  readonly hostname: string;
  readonly files: readonly PlanFileJson[];
  readonly steps: readonly Step[];
  /** SHA-256 of each file that the inventory read, by path. */
  readonly inventory: Readonly<Record<string, string>>;
  /** SHA-256 of plan.json. */
  readonly sha256: string;
}

/** plan.json, without its version. */
interface PlanJson {
  readonly v: number;
  readonly version: string;
  readonly target: Target;
  readonly hostname: string;
  readonly origin: string;
  readonly accepted: readonly string[];
  readonly findings: readonly { readonly id: string; readonly severity: string }[];
  readonly inventory: Readonly<Record<string, string>>;
  readonly files: readonly PlanFileJson[];
  readonly steps: readonly Step[];
}

const path = matching(/^\/[^\0]+$/, 'an absolute path');
const place = oneOf('node', 'cluster');

const check = shape<Check>({
  command: word,
  result: oneOf(...RESULTS),
  pattern: (value, at) => {
    const pattern = text(value, at);
    try {
      new RegExp(pattern);
    } catch (error) {
      throw new Error(`plan.json: ${at} is not a regular expression: ${messageOf(error)}`, { cause: error });
    }
    return pattern;
  },
  note: text,
  place,
  withinSeconds: seconds,
});

const step = shape<Step>({
  id: matching(/^[a-z][a-z0-9-]*$/, 'an id'),
  title: text,
  why: text,
  place,
  commands: list(word),
  check: list(check),
  undo: list(word),
  undoCheck: list(check),
  files: list(path),
  isFinal: flag,
  isManual: flag,
  isDoneWhenChecked: flag,
  limitSeconds: seconds,
});

const planJson = shape<PlanJson>({
  v: (value) => value as number,
  version: text,
  target: oneOf('containerd', 'cri-o'),
  hostname: text,
  origin: text,
  accepted: list(text),
  findings: list(shape({ id: text, severity: text })),
  inventory: record(hash),
  files: list(
    shape<PlanFileJson>({
      path,
      mode: matching(/^[0-7]{4}$/, 'an octal mode'),
      owner: matching(/^\d+:\d+$/, 'an owner, such as 0:0'),
      step: word,
      source: word,
      patch: orNull(word),
      sha256Before: orNull(hash),
      sha256After: hash,
    }),
  ),
  steps: list(step),
});

/**
 * Reads the plan in a directory and checks each value.
 * @throws Error with the place of a wrong value in plan.json; Refused when the plan is of another version or node.
 */
export async function readPlan(directory: string, hostname = nodeHostname): Promise<PlanOnDisk> {
  const source = await new SmallFile(join(directory, 'plan.json'), MAX_PLAN_BYTES)
    .text()
    .catch((error: unknown) => {
      throw new Error(
        `${directory} has no plan that can be read: ${messageOf(error)}. Make one with \`dockbridge migrate plan\``,
        { cause: error },
      );
    });
  const plan = parsePlan(source);
  const name = await hostname();
  if (plan.hostname !== name)
    throw new Refused(
      `the plan is for the node ${plan.hostname}, and this is ${name}. Make a plan on this node: \`dockbridge migrate plan\``,
    );
  const { target, files, steps, inventory } = plan;
  return { directory, target, hostname: name, files, steps, inventory, sha256: sha256(source) };
}

/** Reads the text of plan.json. @throws Error with the place of a wrong value; Refused for another version. */
export function parsePlan(source: string): Omit<PlanJson, 'v'> {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    throw new Error(`plan.json is not valid JSON: ${messageOf(error)}`, { cause: error });
  }
  const version = typeof value === 'object' && value !== null && 'v' in value ? value.v : undefined;
  if (version !== PLAN_VERSION)
    throw new Refused(
      `plan.json has version ${version === undefined ? 'none' : JSON.stringify(version)}, and this dockbridge reads version ${PLAN_VERSION}. Make the plan again with this dockbridge`,
    );
  const plan = planJson(value, '');
  const ids = plan.steps.map(({ id }) => id);
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined) throw new Error(`plan.json: steps has ${twice} twice`);
  for (const [at, { source: file, step: id }] of plan.files.entries()) {
    if (isAbsolute(file) || normalize(file).startsWith('..'))
      throw new Error(`plan.json: files[${at}].source is outside the directory of the plan`);
    if (!ids.includes(id)) throw new Error(`plan.json: files[${at}].step names no step`);
  }
  for (const [at, { files }] of plan.steps.entries())
    for (const one of files)
      if (!plan.files.some((file) => file.path === one))
        throw new Error(`plan.json: steps[${at}].files names ${one}, which is not among the files`);
  return plan;
}

/** Makes sure that the plan's files are those that it describes. @throws Refused. */
export async function checkSources({ directory, files }: PlanOnDisk): Promise<void> {
  for (const file of files) await checkSource(directory, file);
}

async function checkSource(directory: string, { source, sha256After }: PlanFileJson): Promise<void> {
  const file = join(directory, source);
  const info = await lstat(file).catch(() => undefined);
  const found = info?.isFile() === true ? await new SmallFile(file, MAX_FILE_BYTES).text() : undefined;
  if (found === undefined) throw new Refused(`${file} of the plan is missing. Make the plan again`);
  if (sha256(found) !== sha256After)
    throw new Refused(
      `${file} was changed since the plan was made. Undo the change, or change the node's configuration and make the plan again`,
    );
}

async function nodeHostname(): Promise<string> {
  return (await readHost(new NodeRoot('/'))).hostname;
}
