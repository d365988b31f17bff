import { compare } from '../../harness/compare/compare';
import { rulesFor } from '../../harness/compare/rules';
import { readRecorded } from '../../harness/drive/recorded';
import { replay as replayTape, type NotReplayed } from '../../harness/drive/replay';
import { renderJson } from '../../harness/report/json-report';
import { renderJunit } from '../../harness/report/junit';
import { renderText } from '../../harness/report/text';
import { duration } from '../../config/parsers';
import { counted } from '../../lib/counted';
import { failedPrecondition, invalidArgument, messageOf } from '../../lib/errors';
import { parseEndpoint } from '../../server/listener/socket-listener';
import { print } from './print';
import { say } from './proxied';
import { rulesIn } from './rules-file';
import { imagesOf } from './scenario-run';
import { stoppedBySignal } from './stop';
import { writeReport } from './write-report';

export interface ReplayCommand {
  readonly to: string;
  readonly speed: 'max' | '1x';
  readonly rules?: string | undefined;
  readonly scratch?: string | undefined;
  readonly image: readonly string[];
  readonly wait: string;
  readonly incomplete: boolean;
  readonly junit?: string | undefined;
  readonly output: 'text' | 'json';
}

const NAME = 'replay';
/** How many problems of a tape are printed. */
const TOLD = 10;

/**
 * `dockbridge cri replay`.
 * @returns the exit code: 0 if the endpoint behaves as recorded, 1 if it differs, 2 if that could not be determined or something is left behind.
 */
export async function replay(file: string, command: ReplayCommand): Promise<number> {
  const signal = stoppedBySignal((text) => say(NAME, text));
  try {
    const { to, speed, scratch, junit, output } = command;
    const rules = await rulesIn(command.rules);
    const images = imagesOf(command.image);
    const waitMs = duration(command.wait, '--wait');
    if (!to.startsWith('unix://')) throw invalidArgument('--to', `"${to}" is not unix:///path`);
    parseEndpoint(to, {}, process.pid);
    const tape = await readRecorded(file);
    if (tape.problems.length > 0 && !command.incomplete) {
      for (const problem of tape.problems.slice(0, TOLD)) say(NAME, problem);
      throw failedPrecondition(
        `${file} is incomplete. --incomplete replays its readable part, and may then report differences that the missing part would explain`,
      );
    }
    const done = await replayTape(file, tape, { to, speed, scratch, images, rules, waitMs, signal });
    const { recorded, live, skipped, collapsed, notes, left } = done;
    const comparison = compare(recorded, live, rulesFor(recorded.runtime, live.runtime, rules));
    await print(output === 'text' ? renderText(comparison) : renderJson(comparison));
    for (const note of notes) say(NAME, note);
    if (collapsed > 0)
      say(
        NAME,
        `${counted(collapsed, 'polling call was', 'polling calls were')} not replayed, because the runtime reported nothing new`,
      );
    for (const line of told(skipped)) say(NAME, line);
    for (const what of left) say(NAME, `left behind on ${to}: ${what}`);
    if (junit !== undefined) await writeReport(junit, renderJunit(comparison));
    if (left.length > 0) return 2;
    return comparison.differences > 0 ? 1 : 0;
  } catch (error) {
    say(NAME, messageOf(error));
    return 2;
  }
}

/** Returns one line for all calls of a method that were not replayed for the same reason. */
function told(skipped: readonly NotReplayed[]): readonly string[] {
  const byReason = new Map<string, NotReplayed[]>();
  for (const call of skipped) {
    const key = `${call.method}: ${call.why}`;
    byReason.set(key, [...(byReason.get(key) ?? []), call]);
  }
  return [...byReason].map(([reason, calls]) => {
    const times = calls.length === 1 ? '' : `, ${calls.length} calls`;
    return `not replayed: ${reason} (call ${calls[0]?.n ?? 0}${times})`;
  });
}
