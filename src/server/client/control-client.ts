import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { errnoOf, internal, RuntimeError, unavailable } from '../../lib/errors';
import type { HandOverStep } from '../../sync/hand-over';
import { HAND_OVER_PATH, type ControlLine } from '../control-socket';

/** A step may wait for a running CNI plugin. */
const SILENCE_MS = 180_000;

/**
 * Asks the daemon at this control socket to hand its node over.
 * @returns the steps as the daemon completes them; undefined if no daemon answers.
 * @throws if the hand-over fails or the connection breaks.
 */
export async function askToHandOver(path: string): Promise<AsyncIterable<HandOverStep> | undefined> {
  const call = request({ socketPath: path, path: HAND_OVER_PATH, method: 'POST', timeout: SILENCE_MS });
  call.on('timeout', () => call.destroy(unavailable('the daemon has said nothing for three minutes')));
  call.end();
  try {
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    return steps(response);
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED'].includes(errnoOf(error) ?? '')) return undefined;
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
    // A broken connection is treated like a closed one.
  }
  throw unavailable('the daemon ended before it was done: repeat the command');
}
