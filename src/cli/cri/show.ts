import { duration } from '../../config/parsers';
import { tapeSource } from '../../harness/html/page-run';
import { writePage } from '../../harness/html/write-page';
import { showTape, toldProblems, type Shown } from '../../harness/show/show';
import type { CallFilter } from '../../harness/show/shown-call';
import { counted } from '../../lib/counted';
import { messageOf } from '../../lib/errors';
import { print } from './print';
import { say } from './proxied';

export interface ShowCommand {
  readonly method?: string | undefined;
  readonly pod?: string | undefined;
  readonly slow?: string | undefined;
  readonly failed: boolean;
  readonly output: 'text' | 'json';
  /** The file for an HTML page, which replaces the text. */
  readonly html?: string | undefined;
}

/** `dockbridge cri show`. @returns the exit code. */
export async function show(
  tape: string,
  { method, pod, slow, failed, output, html }: ShowCommand,
): Promise<number> {
  try {
    const slowMs = slow === undefined ? undefined : duration(slow, '--slow');
    const filter = { method, pod, slowMs, failed };
    const { text, problems } =
      html === undefined ? await showTape(tape, filter, output) : await pageOf(tape, filter, html);
    await print(text);
    for (const problem of problems) say('show', problem);
    return problems.length > 0 ? 1 : 0;
  } catch (error) {
    say('show', messageOf(error));
    return 2;
  }
}

async function pageOf(tape: string, filter: CallFilter, html: string): Promise<Shown> {
  const source = await tapeSource(tape, filter);
  await writePage(html, [source]);
  const { problems, lost } = source.run;
  return {
    text: `${counted(source.calls.length, 'call')} in ${html}: open it in a browser\n`,
    problems: toldProblems(tape, lost, problems),
  };
}
