import { counted } from '../../lib/counted';
import { invalidArgument, messageOf } from '../../lib/errors';
import { loggerInto, thresholdOf, type Logger } from '../../lib/logger';
import { isSameSocket } from '../../node/disk/socket-file';
import { parseEndpoint } from '../../server/listener/socket-listener';
import { printable } from '../../harness/printable';
import type { Recorded } from '../../harness/record';
import { nextEndSignal, outliveOtherSignals } from '../end-process';
import { print } from './print';

/** The options that `record` and `fault` share. */
export interface ProxiedCommand {
  readonly listen: string;
  readonly upstream: string;
  readonly unsafeFull: boolean;
}

export interface Running {
  stop(): Promise<Recorded>;
}

/**
 * Runs a proxy until a signal ends it, and prints a summary.
 * @returns the exit code: 0 if the tape is complete, 1 if it is incomplete, 2 if the proxy could not start.
 */
export async function runProxied(
  name: string,
  { listen, upstream }: ProxiedCommand,
  tape: string | undefined,
  start: (logger: Logger) => Promise<Running>,
): Promise<number> {
  const logger = plainLogger(name);
  const ended = nextEndSignal();
  outliveOtherSignals(logger, () => undefined);
  let running: Running;
  try {
    checkEndpoints(listen, upstream);
    running = await start(logger);
  } catch (error) {
    say(name, messageOf(error));
    return 2;
  }
  say(name, `${listen} passes calls on to ${upstream}; press Ctrl-C to end this`);
  await ended;
  const recorded = await running.stop();
  await print(summary(recorded, tape));
  return recorded.isWhole ? 0 : 1;
}

/**
 * Prints a line to stderr, because stdout is for the result. Control characters are replaced, because the text may come from a tape.
 */
export function say(name: string, text: string): void {
  process.stderr.write(`dockbridge cri ${name}: ${printable(text)}\n`);
}

function checkEndpoints(listen: string, upstream: string): void {
  for (const [option, endpoint] of [
    ['--listen', listen],
    ['--upstream', upstream],
  ] as const) {
    if (!endpoint.startsWith('unix://')) throw invalidArgument(option, `"${endpoint}" is not unix:///path`);
    parseEndpoint(endpoint, {}, process.pid);
  }
  if (isSameSocket(listen, upstream)) throw invalidArgument('--listen', 'is the same socket as --upstream');
}

function summary({ calls, lost, bytes, isWhole, overhead }: Recorded, tape: string | undefined): string {
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  const { p50, p99, max, loopDelayP99 } = overhead;
  return [
    tape === undefined
      ? `${counted(calls, 'call')}\n`
      : `${counted(calls, 'call')}, ${bytes} bytes in ${tape}, ${counted(lost, 'line')} lost${isWhole ? '' : ': the tape is incomplete'}\n`,
    `Time that calls spent inside this process: p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)}, over ${counted(overhead.calls, 'answered call')}; `,
    `event loop delay p99 ${ms(loopDelayP99)}\n`,
  ].join('');
}

function plainLogger(name: string): Logger {
  return loggerInto((_level, message, fields) => {
    const more = Object.entries(fields()).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
    say(name, [message(), ...more].join(' '));
  }, thresholdOf('warn'));
}
