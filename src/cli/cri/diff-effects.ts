import { asComparison } from '../../harness/effects/as-comparison';
import { compareEffects } from '../../harness/effects/compare-effects';
import { KNOWN } from '../../harness/effects/known';
import { renderEffects } from '../../harness/effects/render-effects';
import { renderJunit } from '../../harness/report/junit';
import { invalidArgument, messageOf } from '../../lib/errors';
import { effectsAt, type LookCommand } from './effects';
import { print } from './print';
import { say } from './proxied';
import { stoppedBySignal } from './stop';
import { writeReport } from './write-report';

export interface DiffEffectsCommand extends LookCommand {
  readonly all: boolean;
  readonly rules?: string | undefined;
  readonly scenario?: string | undefined;
  readonly junit?: string | undefined;
  readonly output: 'text' | 'json';
}

const NAME = 'diff';

/**
 * `dockbridge cri diff A B --effects`: creates the same pods on two runtimes, one after the other, and compares what their containers
 * are given. A signal ends the command, which then removes the pods.
 * @returns the exit code: 0 if all differences are explained, 1 if one is not, 2 if a runtime cannot be examined
 * or something is left behind.
 */
export async function diffEffects(a: string, b: string, command: DiffEffectsCommand): Promise<number> {
  const { all, rules, scenario, junit, output } = command;
  try {
    for (const [option, given] of Object.entries({ '--rules': rules, '--scenario': scenario }))
      if (given !== undefined) throw invalidArgument(option, 'cannot be given with --effects');
    const tell = (text: string) => say(NAME, text);
    const signal = stoppedBySignal(tell);
    const ofA = await effectsAt(tell, a, command, signal);
    const ofB = await effectsAt(tell, b, command, signal);
    const comparison = compareEffects(ofA.seen, ofB.seen, KNOWN);
    await print(
      output === 'text' ? renderEffects(comparison, all) : `${JSON.stringify(comparison, patterns, 2)}\n`,
    );
    if (junit !== undefined) await writeReport(junit, renderJunit(asComparison(comparison)));
    if (ofA.isLeft || ofB.isLeft) return 2;
    return comparison.counts.differs > 0 ? 1 : 0;
  } catch (error) {
    say(NAME, messageOf(error));
    return 2;
  }
}

/** JSON has no regular expressions. */
function patterns(_key: string, value: unknown): unknown {
  return value instanceof RegExp ? value.source : value;
}
