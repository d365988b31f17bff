import { compare } from '../../harness/compare/compare';
import { rulesFor } from '../../harness/compare/rules';
import { pageDifferences } from '../../harness/html/diff-page';
import { observationSource, tapeSource } from '../../harness/html/page-run';
import { writePage } from '../../harness/html/write-page';
import { renderJson } from '../../harness/report/json-report';
import { renderJunit } from '../../harness/report/junit';
import { renderText } from '../../harness/report/text';
import { invalidArgument, messageOf } from '../../lib/errors';
import { print } from './print';
import { say } from './proxied';
import { rulesIn } from './rules-file';
import { bothSides, imagesOf, isEndpoint } from './scenario-run';
import { stoppedBySignal } from './stop';
import { writeReport } from './write-report';

export interface DiffCommand {
  readonly rules?: string | undefined;
  readonly junit?: string | undefined;
  readonly output: 'text' | 'json';
  /** The file for an HTML page of both runs. */
  readonly html?: string | undefined;
  readonly scenario?: string | undefined;
  readonly image: readonly string[];
  readonly scratch?: string | undefined;
}

const NAME = 'diff';
const ALL = { method: undefined, pod: undefined, slowMs: undefined, failed: false };

/**
 * `dockbridge cri diff`.
 * @returns the exit code: 0 if the runtimes behave the same, 1 if they differ or do not do what the scenario expects, 2 if they could
 * not be compared.
 */
export async function diff(a: string, b: string, command: DiffCommand): Promise<number> {
  const { rules, junit, html, output, scenario, scratch } = command;
  const signal =
    isEndpoint(a) || isEndpoint(b)
      ? stoppedBySignal((text) => say(NAME, text))
      : new AbortController().signal;
  try {
    const users = await rulesIn(rules);
    const images = imagesOf(command.image);
    const sides = await bothSides(a, b, { scenario, images, scratch, signal });
    for (const { problems } of sides) for (const problem of problems) say(NAME, problem);
    for (const { unmet, observation } of sides)
      for (const what of unmet) say(NAME, `${observation.source}: ${what}`);
    const [left, right] = [sides[0].observation, sides[1].observation];
    if (left.calls.length === 0 || right.calls.length === 0)
      throw invalidArgument(left.calls.length === 0 ? a : b, 'contains no call that could be compared');
    const comparison = compare(left, right, rulesFor(left.runtime, right.runtime, users));
    await print(output === 'text' ? renderText(comparison) : renderJson(comparison));
    if (junit !== undefined) await writeReport(junit, renderJunit(comparison));
    if (html !== undefined) {
      const sources = [left, right].map(async (observation) =>
        isEndpoint(observation.source) ? observationSource(observation) : tapeSource(observation.source, ALL),
      );
      await writePage(html, await Promise.all(sources), pageDifferences(comparison));
    }
    return comparison.differences > 0 || sides.some(({ unmet }) => unmet.length > 0) ? 1 : 0;
  } catch (error) {
    say(NAME, messageOf(error));
    return 2;
  }
}
