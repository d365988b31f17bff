import { open, readFile, unlink, type FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { collectEffects } from '../../harness/effects/collect';
import type { SeenRuntime } from '../../harness/effects/effect';
import { readSeen, writeSeen } from '../../harness/effects/file';
import { invalidArgument, messageOf } from '../../lib/errors';
import { CriClient } from '../../server/client/cri-client';
import { parseEndpoint } from '../../server/listener/socket-listener';
import { print } from './print';
import { say } from './proxied';
import { stoppedBySignal } from './stop';
import { REPORT_MODE } from './write-report';

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
 * @returns the exit code: 0, or 2 if the runtime cannot be looked at or something is left behind.
 */
export async function effects(endpoint: string, { output, ...look }: EffectsCommand): Promise<number> {
  let file: FileHandle | undefined;
  let isWritten = false;
  try {
    // A run takes minutes, and is lost if the file cannot be made.
    file = output === undefined ? undefined : await open(output, 'wx', REPORT_MODE);
    const { seen, isLeft } = await effectsAt(NAME, endpoint, look, stoppedBySignal(NAME));
    const text = writeSeen(seen);
    if (file === undefined) await print(text);
    else await file.writeFile(text);
    isWritten = true;
    return isLeft ? 2 : 0;
  } catch (error) {
    say(NAME, messageOf(error));
    return 2;
  } finally {
    await file?.close();
    if (output !== undefined && file !== undefined && !isWritten) await unlink(output).catch(() => undefined);
  }
}

export interface LookedAt {
  readonly seen: SeenRuntime;
  /** Whether something could not be removed, which was told. */
  readonly isLeft: boolean;
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
): Promise<LookedAt> {
  if (!side.startsWith('unix://')) {
    // Without this check, an address of another kind would be reported as a missing file.
    if (/^\w+:\/\//.test(side)) throw invalidArgument(side, 'is not unix:///path');
    return { seen: readSeen(await readFile(side, 'utf8'), side), isLeft: false };
  }
  parseEndpoint(side, {}, process.pid);
  const client = new CriClient(side);
  try {
    let isLeft = false;
    const seen = await collectEffects(client, {
      ...{ source: side, image: busybox, signal, scratchRoot: resolve(scratch) },
      onPod: (pod) => say(name, `${side}: pod ${pod} is done`),
      onNote: (note) => say(name, `${side}: ${note}`),
      onLeft: (what) => {
        isLeft = true;
        say(name, `left behind on ${side}: ${what}`);
      },
    });
    return { seen, isLeft };
  } catch (error) {
    throw new Error(`${side}: ${messageOf(error)}`, { cause: error });
  } finally {
    client.close();
  }
}
