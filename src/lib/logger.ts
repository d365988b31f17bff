export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';
export type LogFields = Readonly<Record<string, unknown>>;

export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug', 'trace'];

/**
 * The interface through which the rest of the code logs. The text of debug and trace lines is a closure, so that a disabled
 * line costs only the check of a boolean. winston needs 4 µs to find out that a line is disabled.
 */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: () => string, fields?: () => LogFields): void;
  trace(message: () => string, fields?: () => LogFields): void;
  /** Returns a logger that adds these fields to every line. */
  with(fields: LogFields): Logger;
}

/** Says whether debug and trace lines are enabled. A change affects all loggers that were made with this object. */
export interface Threshold {
  debug: boolean;
  trace: boolean;
}

export function thresholdOf(level: LogLevel): Threshold {
  return {
    debug: LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf('debug'),
    trace: level === 'trace',
  };
}

type Write = (level: LogLevel, message: () => string, fields: () => LogFields) => void;

/** Makes a logger that passes each line to `write`. It passes debug and trace lines only while the threshold enables them. */
export function loggerInto(write: Write, threshold: Readonly<Threshold>, base: LogFields = {}): Logger {
  const plain =
    (name: LogLevel) =>
    (message: string, fields?: LogFields): void =>
      write(
        name,
        () => message,
        () => ({ ...base, ...fields }),
      );
  const lazy =
    (name: 'debug' | 'trace'): Logger['debug'] =>
    (message, fields) => {
      if (threshold[name]) write(name, message, () => ({ ...base, ...fields?.() }));
    };
  return {
    error: plain('error'),
    warn: plain('warn'),
    info: plain('info'),
    debug: lazy('debug'),
    trace: lazy('trace'),
    with: (fields) => loggerInto(write, threshold, { ...base, ...fields }),
  };
}

/** A logger that discards everything, for tests and for commands that only do one thing. */
export const silentLogger: Logger = loggerInto(() => undefined, thresholdOf('error'));

/** How many lines are kept until there is a real logger. */
const MOST_LINES = 1_000;

export interface LateLogger {
  readonly logger: Logger;
  /** Passes all lines that were logged so far, and all later lines, to this logger. */
  attach(logger: Logger): void;
}

/**
 * Makes a logger for code that runs before the real logger's library is loaded. It keeps lines until the real logger is
 * available.
 */
export function createLateLogger(): LateLogger {
  let target: Logger | undefined;
  const waiting: Parameters<Write>[] = [];
  return {
    logger: loggerInto((...line) => {
      if (target !== undefined) repeat(target, ...line);
      else if (waiting.length < MOST_LINES) waiting.push(line);
    }, thresholdOf('trace')),
    attach: (logger) => {
      target = logger;
      for (const line of waiting.splice(0)) repeat(logger, ...line);
    },
  };
}

function repeat(logger: Logger, ...[level, message, fields]: Parameters<Write>): void {
  if (level === 'debug' || level === 'trace') logger[level](message, fields);
  else logger[level](message(), fields());
}
