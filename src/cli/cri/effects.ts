import { open, readFile, unlink, type FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { collectEffects } from '../../harness/effects/collect';
import type { SeenRuntime } from '../../harness/effects/effect';
import { readSeen, writeSeen } from '../../harness/effects/effects-file';
import { invalidArgument, messageOf } from '../../lib/errors';
import { CriClient } from '../../server/client/cri-client';
import { parseEndpoint } from '../../server/listener/socket-listener';
import { print } from './print';
import { say } from './proxied';
import { stoppedBySignal } from './stop';
import { REPORT_MODE } from './write-report';

/** The options that say how containers are created and examined. */
export interface LookCommand {
  readonly busybox: string;
  readonly scratch?: string | undefined;
}

export interface EffectsCommand extends LookCommand {
  readonly output?: string | undefined;
}

const NAME = 'effects';
/** The default directory for the containers' volumes and logs. */
const SCRATCH = '/var/tmp';

/**
 * `dockbridge cri effects ENDPOINT`: writes to a file what containers are given on one runtime, for a comparison elsewhere.
 * @returns the exit code: 0, or 2 if the runtime cannot be examined or something is left behind.
 */
export async function effects(endpoint: string, { output, ...look }: EffectsCommand): Promise<number> {
  let file: FileHandle | undefined;
  let isWritten = false;
  const tell = (text: string) => say(NAME, text);
  try {
    // The file is created first, because a run takes minutes and its result would be lost if the file could not be created.
    file = output === undefined ? undefined : await open(output, 'wx', REPORT_MODE);
    const { seen, isLeft } = await effectsAt(tell, endpoint, look, stoppedBySignal(tell));
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
  /** Whether something could not be removed. It has been reported already. */
  readonly isLeft: boolean;
}

/**
 * Returns what containers are given on one side: reads it from a file of `cri effects`, or examines the runtime at a socket.
 * @param say prints a progress message.
 * @throws an error that names the side.
 */
export async function effectsAt(
  say: (text: string) => void,
  side: string,
  { busybox, scratch = SCRATCH }: LookCommand,
  signal: AbortSignal,
): Promise<LookedAt> {
  if (!side.startsWith('unix://')) {
    // Without this check, an address such as tcp://… would be reported as a missing file.
    if (/^\w+:\/\//.test(side)) throw invalidArgument(side, 'is not unix:///path');
    return { seen: readSeen(await readFile(side, 'utf8'), side), isLeft: false };
  }
  parseEndpoint(side, {}, process.pid);
  const client = new CriClient(side);
  try {
    let isLeft = false;
    const seen = await collectEffects(client, {
      ...{ source: side, image: busybox, signal, scratchRoot: resolve(scratch) },
      onPod: (pod) => say(`${side}: pod ${pod} is done`),
      onNote: (note) => say(`${side}: ${note}`),
      onLeft: (what) => {
        isLeft = true;
        say(`left behind on ${side}: ${what}`);
      },
    });
    return { seen, isLeft };
  } catch (error) {
    throw new Error(`${side}: ${messageOf(error)}`, { cause: error });
  } finally {
    client.close();
  }
}
