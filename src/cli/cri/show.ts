import { duration } from '../../config/parsers';
import { showTape } from '../../harness/show/show';
import { messageOf } from '../../lib/errors';
import { say } from './proxied';

export interface ShowCommand {
  readonly method?: string | undefined;
  readonly pod?: string | undefined;
  readonly slow?: string | undefined;
  readonly failed: boolean;
  readonly output: 'text' | 'json';
}

/** `dockbridge cri show`. @returns the exit code. */
export async function show(
  tape: string,
  { method, pod, slow, failed, output }: ShowCommand,
): Promise<number> {
  try {
    const slowMs = slow === undefined ? undefined : duration(slow, '--slow');
    const { text, problems } = await showTape(tape, { method, pod, slowMs, failed }, output);
    await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
    for (const problem of problems) say('show', problem);
    return problems.length > 0 ? 1 : 0;
  } catch (error) {
    say('show', messageOf(error));
    return 2;
  }
}
