import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { collectEffects } from '../../harness/effects/collect';
import type { SeenRuntime } from '../../harness/effects/effect';
import { readSeen, writeSeen } from '../../harness/effects/file';
import { cancelled, invalidArgument, messageOf } from '../../lib/errors';
import { CriClient } from '../../server/client/cri-client';
import { parseEndpoint } from '../../server/listener/socket-listener';
import { nextEndSignal } from '../end-process';
import { print } from './print';
import { say } from './proxied';

/** How containers are made and looked at. */
export interface LookCommand {
  readonly busybox: string;
  readonly scratch?: string | undefined;
}

export interface EffectsCommand extends LookCommand {
  readonly output?: string | undefined;
}

const NAME = 'effects';
/** Where volumes and logs of the containers are made if nothing else is given. */
const SCRATCH = '/var/tmp';

/**
 * `dockbridge cri effects ENDPOINT`: writes down what containers get on one runtime, to be compared elsewhere.
 * @returns the exit code: 0, or 2 if the runtime cannot be looked at.
 */
export async function effects(endpoint: string, { output, ...look }: EffectsCommand): Promise<number> {
  try {
    const text = writeSeen(await effectsAt(NAME, endpoint, look, abortedBySignal()));
    if (output === undefined) await print(text);
    else await writeFile(output, text, { flag: 'wx' });
    return 0;
  } catch (error) {
    say(NAME, messageOf(error));
    return 2;
  }
}

/** A signal that fires when the process is asked to end. */
export function abortedBySignal(): AbortSignal {
  const controller = new AbortController();
  void nextEndSignal().then((signal) => controller.abort(cancelled(`ended by ${signal}`)));
  return controller.signal;
}

/**
 * What was seen of a side: a file of `cri effects`, or what is seen now at a socket.
 * @param name of the command, for what it tells meanwhile.
 * @throws an error that names the side.
 */
export async function effectsAt(
  name: string,
  side: string,
  { busybox, scratch = SCRATCH }: LookCommand,
  signal: AbortSignal,
): Promise<SeenRuntime> {
  if (!side.startsWith('unix://')) {
    // Without this check, an address of another kind would be reported as a missing file.
    if (/^\w+:\/\//.test(side)) throw invalidArgument(side, 'is not unix:///path');
    return readSeen(await readFile(side, 'utf8'), side);
  }
  parseEndpoint(side, {}, process.pid);
  const client = new CriClient(side);
  try {
    return await collectEffects(client, {
      ...{ source: side, image: busybox, signal, scratchRoot: resolve(scratch) },
      onPod: (pod) => say(name, `${side}: pod ${pod} is done`),
      onNote: (note) => say(name, `${side}: ${note}`),
    });
  } catch (error) {
    throw new Error(`${side}: ${messageOf(error)}`, { cause: error });
  } finally {
    client.close();
  }
}
