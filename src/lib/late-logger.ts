import type { LogFields, Logger } from './logger';

type Line = (logger: Logger) => void;

/** No more is kept of what is said before there is a logger. */
const MOST_LINES = 1_000;

export interface LateLogger {
  readonly logger: Logger;
  /** Hands over what was logged so far, and from now on everything. */
  attach(logger: Logger): void;
}

/** Stands in until the real logger's library is loaded, for what must run before that. */
export function createLateLogger(): LateLogger {
  let target: Logger | undefined;
  const waiting: Line[] = [];
  const write = (line: Line): void => {
    if (target !== undefined) line(target);
    else if (waiting.length < MOST_LINES) waiting.push(line);
  };
  return {
    logger: facade(write, {}),
    attach: (logger) => {
      target = logger;
      for (const line of waiting.splice(0)) line(logger);
    },
  };
}

function facade(write: (line: Line) => void, base: LogFields): Logger {
  return {
    error: (message, fields) => write((logger) => logger.error(message, { ...base, ...fields })),
    warn: (message, fields) => write((logger) => logger.warn(message, { ...base, ...fields })),
    info: (message, fields) => write((logger) => logger.info(message, { ...base, ...fields })),
    debug: (message, fields) => write((logger) => logger.debug(message, () => ({ ...base, ...fields?.() }))),
    trace: (message, fields) => write((logger) => logger.trace(message, () => ({ ...base, ...fields?.() }))),
    with: (fields) => facade(write, { ...base, ...fields }),
  };
}
