import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { errnoOf, failedPrecondition, internal, RuntimeError, unavailable } from '../../lib/errors';
import type { HandOverStep } from '../../sync/hand-over';
import { HAND_OVER_PATH, STATUS_PATH, type ControlLine } from '../control-socket';
import type { StatusReport } from '../status-report';

/** How long a step may take, which may include the wait for a running CNI plugin. */
const SILENCE_MS = 180_000;
/** How long the status may take. The daemon's own limit is shorter. */
const STATUS_MS = 6_000;
const MAX_STATUS_BYTES = 1 << 20;

/**
 * Requests a hand-over from the daemon at this control socket.
 * @returns the steps as the daemon completes them; undefined if no daemon answers.
 * @throws if the hand-over fails or the connection breaks.
 */
export async function askToHandOver(path: string): Promise<AsyncIterable<HandOverStep> | undefined> {
  const silence = 'the daemon has sent nothing for three minutes';
  const response = await answerOf(path, { path: HAND_OVER_PATH, method: 'POST' }, SILENCE_MS, silence);
  return response && steps(response);
}

/**
 * Requests the status of the daemon at this control socket.
 * @returns undefined when no daemon answers.
 * @throws when the daemon cannot report its status, serves only root, or is too old for this request.
 */
export async function askForStatus(path: string): Promise<StatusReport | undefined> {
  const silence = `the daemon has not reported its status within ${STATUS_MS / 1000} s: it hangs`;
  const response = await answerOf(path, { path: STATUS_PATH, method: 'GET' }, STATUS_MS, silence);
  if (response === undefined) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_STATUS_BYTES)
      throw internal(`the daemon's status is longer than ${MAX_STATUS_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  if (response.statusCode === 404)
    throw unavailable(
      'the running daemon is older than this command and cannot report its status: restart it',
    );
  if (response.statusCode !== 200) throw unavailable(`the daemon cannot report its status: ${text}`);
  return JSON.parse(text) as StatusReport;
}

async function answerOf(
  socketPath: string,
  options: { readonly path: string; readonly method: string },
  timeout: number,
  silence: string,
): Promise<IncomingMessage | undefined> {
  const call = request({ socketPath, ...options, timeout });
  call.on('timeout', () => call.destroy(unavailable(silence)));
  call.end();
  try {
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    return response;
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED'].includes(errnoOf(error) ?? '')) return undefined;
    if (errnoOf(error) === 'EACCES')
      throw failedPrecondition(`only root may connect to the daemon at ${socketPath}`);
    throw error;
  }
}

async function* steps(response: IncomingMessage): AsyncGenerator<HandOverStep> {
  if (response.statusCode !== 200) throw internal(`the daemon answered ${response.statusCode ?? 0}`);
  try {
    for await (const text of createInterface({ input: response })) {
      const line = JSON.parse(text) as ControlLine;
      if ('end' in line) return;
      if ('error' in line) throw internal(line.error);
      yield line;
    }
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    // An error of the connection is treated like its end.
  }
  throw unavailable('the daemon ended before the hand-over was complete: repeat the command');
}
