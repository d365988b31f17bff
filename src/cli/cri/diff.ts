import { writeFile } from 'node:fs/promises';
import { compare } from '../../harness/compare/compare';
import { observationOf, type ObservedTape } from '../../harness/compare/observe';
import { rulesFor } from '../../harness/compare/rules';
import { renderJson } from '../../harness/report/json';
import { renderJunit } from '../../harness/report/junit';
import { renderText } from '../../harness/report/text';
import { invalidArgument, messageOf } from '../../lib/errors';
import { print } from './print';
import { say } from './proxied';
import { rulesIn } from './rules-file';

export interface DiffCommand {
  readonly rules?: string | undefined;
  readonly junit?: string | undefined;
  readonly output: 'text' | 'json';
}

const NAME = 'diff';

/** `dockbridge cri diff`. @returns the exit code: 0 if the runtimes behave the same, 1 if not, 2 if that cannot be said. */
export async function diff(a: string, b: string, { rules, junit, output }: DiffCommand): Promise<number> {
  try {
    const users = await rulesIn(rules);
    const observed = [await sideOf(a), await sideOf(b)] as const;
    const [ofA, ofB] = observed;
    for (const problem of [...ofA.problems, ...ofB.problems]) say(NAME, problem);
    const [left, right] = [ofA.observation, ofB.observation];
    if (left.calls.length === 0 || right.calls.length === 0)
      throw invalidArgument(left.calls.length === 0 ? a : b, 'has no call that could be compared');
    const comparison = compare(left, right, rulesFor(left.runtime, right.runtime, users));
    if (junit !== undefined) await writeFile(junit, renderJunit(comparison));
    await print(output === 'text' ? renderText(comparison) : renderJson(comparison));
    return comparison.differences > 0 ? 1 : 0;
  } catch (error) {
    say(NAME, messageOf(error));
    return 2;
  }
}

/** What a side of a comparison told. Only tapes have told anything so far. */
async function sideOf(side: string): Promise<ObservedTape> {
  return observationOf(side);
}
