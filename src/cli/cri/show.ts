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
    await print(text);
    for (const problem of problems) say('show', problem);
    return problems.length > 0 ? 1 : 0;
  } catch (error) {
    say('show', messageOf(error));
    return 2;
  }
}

/** Resolves when the text is written, or when its reader has enough, as `head` has. @throws any other error of the output. */
async function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EPIPE') resolve();
      else reject(error);
    };
    // Node passes the error to the callback, and then emits it too.
    process.stdout.on('error', fail);
    process.stdout.write(text, (error) => {
      if (error == null) resolve();
      else fail(error);
    });
  });
}
