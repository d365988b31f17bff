import { readFile } from 'node:fs/promises';
import { integerIn } from '../../config/parsers';
import { Interferer } from '../../harness/fault/interferer';
import { readPlan, type Rule } from '../../harness/fault/fault-plan';
import { Recording } from '../../harness/record';
import { invalidArgument, messageOf } from '../../lib/errors';
import { runProxied, say, type ProxiedCommand } from './proxied';

export interface FaultCommand extends ProxiedCommand {
  readonly plan: string;
  readonly seed: string;
  readonly output?: string | undefined;
}

const NAME = 'fault';
const MAX_SEED = 2 ** 31 - 1;

/** `dockbridge cri fault`. @returns the exit code. */
export async function fault(command: FaultCommand): Promise<number> {
  const { listen, upstream, output, unsafeFull } = command;
  return runProxied(NAME, command, output, async (logger) => {
    const seed = integerIn(0, MAX_SEED)(command.seed, '--seed');
    const rules = await planOf(command.plan);
    const warn = (text: string): void => say(NAME, text);
    let interferer: Interferer | undefined;
    const recording = await Recording.start(
      { listen, upstream, output, full: unsafeFull, logger, warn },
      (proxy, recorder) => {
        const made = new Interferer({
          ...{ rules, seed, proxy, recorder, warn },
          onInjected: ({ method, pod, fault: { kind }, rule }) =>
            warn(`faults[${rule}]: ${kind} into ${method}${pod === undefined ? '' : ` of ${pod}`}`),
        });
        interferer = made;
        return (call) => made.handle(call);
      },
    );
    return {
      stop: () => {
        interferer?.stop();
        return recording.stop();
      },
    };
  });
}

/** @throws an error that names the file, and the key in it. */
async function planOf(file: string): Promise<readonly Rule[]> {
  try {
    return readPlan(await readFile(file, 'utf8'));
  } catch (error) {
    throw invalidArgument(file, messageOf(error));
  }
}
