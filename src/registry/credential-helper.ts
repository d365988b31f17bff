import { execFile } from 'node:child_process';
import { abortable } from '../lib/async/abortable';
import { withDeadline } from '../lib/async/deadline';
import type { EngineAuth } from '../engine/types';
import { parseHelperAnswer } from './docker-config';

/** A helper may ask a cloud's API. */
const LIMIT_MS = 15_000;
const MAX_ANSWER_BYTES = 64 * 1024;
/** The name becomes part of a program's name. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Asks `docker-credential-NAME get` for the credentials of `server`: no shell, server on standard input, as docker does.
 * @throws Error without secrets: the helper's output is never part of it.
 */
export async function askCredentialHelper(
  name: string,
  server: string,
  signal: AbortSignal,
): Promise<EngineAuth> {
  if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is not the name of a credential helper`);
  const program = `docker-credential-${name}`;
  const answer = await withDeadline(program, LIMIT_MS, signal, (limit) =>
    abortable(run(program, server, limit), limit),
  );
  return parseHelperAnswer(answer);
}

function run(program: string, input: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const { env } = process;
    const options = { signal, killSignal: 'SIGKILL', maxBuffer: MAX_ANSWER_BYTES, cwd: '/', env } as const;
    const child = execFile(program, ['get'], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      // The message of execFile repeats what the helper wrote.
      else reject(new Error(`${program} failed (${error.code ?? error.signal ?? 'unknown'})`));
    });
    // The helper may end without reading.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
