import { Writable } from 'node:stream';
import { createLogger, format, transports } from 'winston';
import type { LogOutput } from './log-output';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';
export type LogFields = Readonly<Record<string, unknown>>;

export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug', 'trace'];

/**
 * What the rest of the code logs through. Debug and trace text is a closure: a line that is off costs one boolean
 * (winston spends 4 µs on it otherwise).
 */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: () => string, fields?: () => LogFields): void;
  trace(message: () => string, fields?: () => LogFields): void;
  /** A logger that adds these fields to every line. */
  with(fields: LogFields): Logger;
}

/** Its level can change; that of the loggers that were made `with` it changes too. */
export interface LineLogger extends Logger {
  setLevel(level: LogLevel): void;
}

/** One JSON object a line; the journal or the container runtime adds host and unit. */
export function createLineLogger(level: LogLevel, output: LogOutput): LineLogger {
  const levels = Object.fromEntries(LOG_LEVELS.map((name, index) => [name, index]));
  const sink = createLogger({
    levels,
    level,
    format: format.combine(format.timestamp(), format.json()),
    transports: [new transports.Stream({ stream: intoOutput(output) })],
  });
  const write: Write = (name, message, fields) => {
    const lines = output.takeLost();
    if (lines > 0)
      sink.log('warn', 'Log lines were dropped: nobody read them, or the disk was full', { lines });
    sink.log(name, message, fields);
  };
  const threshold = thresholdOf(level);
  const setLevel = (next: LogLevel): void => {
    sink.level = next;
    Object.assign(threshold, thresholdOf(next));
  };
  return { ...facade(write, threshold, {}), setLevel };
}

/** Never makes winston wait. */
function intoOutput(output: LogOutput): Writable {
  return new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, done) => {
      output.write(line);
      done();
    },
  });
}

/** For tests and for one-shot commands. */
export const silentLogger: Logger = facade(() => undefined, thresholdOf('error'), {});

type Write = (level: LogLevel, message: string, fields: LogFields) => void;

/** Which of the costly lines are on. */
interface Threshold {
  debug: boolean;
  trace: boolean;
}

function thresholdOf(level: LogLevel): Threshold {
  return {
    debug: LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf('debug'),
    trace: level === 'trace',
  };
}

function facade(write: Write, threshold: Threshold, base: LogFields): Logger {
  return {
    error: (message, fields) => write('error', message, { ...base, ...fields }),
    warn: (message, fields) => write('warn', message, { ...base, ...fields }),
    info: (message, fields) => write('info', message, { ...base, ...fields }),
    debug: (message, fields) => {
      if (threshold.debug) write('debug', message(), { ...base, ...fields?.() });
    },
    trace: (message, fields) => {
      if (threshold.trace) write('trace', message(), { ...base, ...fields?.() });
    },
    with: (fields) => facade(write, threshold, { ...base, ...fields }),
  };
}
