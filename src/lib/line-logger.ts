import { Writable } from 'node:stream';
import { createLogger, format, transports } from 'winston';
import { JOURNAL_PRIORITY } from './journal';
import type { LogOutput } from './log-output';
import { loggerInto, LOG_LEVELS, thresholdOf, type Logger, type LogLevel } from './logger';

/** A logger whose level can change. The loggers that were made with its method `with` change too. */
export interface LineLogger extends Logger {
  setLevel(level: LogLevel): void;
}

/**
 * Makes a logger that writes one JSON object per line. The journal adds the host and the unit. This code is not in logger.ts,
 * because winston takes a long time to load.
 * @param toJournal whether the output is systemd's journal (see isJournal), which reads a priority before each line.
 */
export function createLineLogger(level: LogLevel, output: LogOutput, toJournal = false): LineLogger {
  const levels = Object.fromEntries(LOG_LEVELS.map((name, index) => [name, index]));
  const sink = createLogger({
    levels,
    level,
    format: format.combine(format.timestamp(), format.json(), ...(toJournal ? [withPriority()] : [])),
    transports: [new transports.Stream({ stream: intoOutput(output) })],
  });
  const threshold = thresholdOf(level);
  const logger = loggerInto((name, message, fields) => {
    const lines = output.takeLost();
    if (lines > 0)
      sink.log('warn', 'Dropped log lines because nobody read them or the disk was full', { lines });
    sink.log(name, message(), fields());
  }, threshold);
  const setLevel = (next: LogLevel): void => {
    sink.level = next;
    Object.assign(threshold, thresholdOf(next));
  };
  return { ...logger, setLevel };
}

const TEXT = Symbol.for('message');

/** Puts the priority before the text of the line, which winston keeps under the symbol TEXT. */
const withPriority = format((line) => {
  const [name] = LOG_LEVELS.filter((known) => known === line.level);
  if (name !== undefined) line[TEXT] = `${JOURNAL_PRIORITY[name]}${String(line[TEXT])}`;
  return line;
});

/** Accepts each line immediately, so that winston never waits. */
function intoOutput(output: LogOutput): Writable {
  return new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, done) => {
      output.write(line);
      done();
    },
  });
}
