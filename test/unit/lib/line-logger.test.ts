import { createLineLogger } from '../../../src/lib/line-logger';
import { LogOutput } from '../../../src/lib/log-output';
import { LOG_LEVELS, silentLogger, type Logger, type LogLevel } from '../../../src/lib/logger';

/** Returns the lines that a logger with this level writes. */
function linesOf(level: LogLevel, log: (logger: Logger) => void): object[] {
  const written: string[] = [];
  const output = new LogOutput((text, done) => {
    written.push(...text.trimEnd().split('\n'));
    done(undefined);
  });
  log(createLineLogger(level, output));
  return written.map((line) => JSON.parse(line) as object);
}

const logAll = (logger: Logger) => {
  logger.error('e');
  logger.warn('w');
  logger.info('i');
  logger.debug(() => 'd');
  logger.trace(() => 't');
};

describe('createLineLogger', () => {
  it.each(LOG_LEVELS.map((level, index) => ({ level, expected: LOG_LEVELS.slice(0, index + 1) })))(
    'at the level $level writes $expected',
    ({ level, expected }) => {
      expect(linesOf(level, logAll).map((line) => (line as { level: string }).level)).toEqual(expected);
    },
  );

  it('writes one JSON object per line with time, message and fields', () => {
    const [line, ...more] = linesOf('info', (logger) => logger.warn('what\nhappened', { container: 'c1' }));
    expect(more).toEqual([]);
    expect(line).toEqual({
      level: 'warn',
      message: 'what\nhappened',
      container: 'c1',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
    });
  });

  it('writes the priority before each line if the journal reads it', () => {
    const written: string[] = [];
    const output = new LogOutput((text, done) => {
      written.push(...text.trimEnd().split('\n'));
      done(undefined);
    });
    logAll(createLineLogger('trace', output, true));
    expect(written.map((line) => line.slice(0, 3))).toEqual(['<3>', '<4>', '<6>', '<7>', '<7>']);
    expect(written.map((line) => (JSON.parse(line.slice(3)) as { level: string }).level)).toEqual([
      ...LOG_LEVELS,
    ]);
  });

  it('adds the fields of with() to every line, and prefers those of the line', () => {
    const [first, second] = linesOf('debug', (logger) => {
      const child = logger.with({ a: 1 }).with({ b: 2 });
      child.info('one', { b: 3 });
      child.debug(
        () => 'two',
        () => ({ c: 4 }),
      );
    });
    expect(first).toMatchObject({ a: 1, b: 3 });
    expect(second).toMatchObject({ a: 1, b: 2, c: 4 });
  });

  it('computes the text of a line only when it is written', () => {
    const text = jest.fn(() => 'costly');
    const fields = jest.fn(() => ({}));
    linesOf('info', (logger) => {
      logger.debug(text, fields);
      logger.with({ a: 1 }).trace(text, fields);
      silentLogger.debug(text, fields);
    });
    expect(text).not.toHaveBeenCalled();
    expect(fields).not.toHaveBeenCalled();
  });

  it('can change its level, and that of its child loggers', () => {
    const written: string[] = [];
    const output = new LogOutput((text, done) => {
      written.push(...text.trimEnd().split('\n'));
      done(undefined);
    });
    const logger = createLineLogger('warn', output);
    const child = logger.with({ a: 1 });
    const levels = () => written.splice(0).map((line) => (JSON.parse(line) as { level: string }).level);
    logAll(child);
    expect(levels()).toEqual(['error', 'warn']);
    logger.setLevel('trace');
    logAll(child);
    expect(levels()).toEqual([...LOG_LEVELS]);
    logger.setLevel('error');
    logAll(child);
    expect(levels()).toEqual(['error']);
  });

  it('logs how many lines were lost once lines get through again', () => {
    const ends: ((error?: Error) => void)[] = [];
    const written: string[] = [];
    const output = new LogOutput((text, done) => {
      written.push(text);
      ends.push(done);
    });
    const logger = createLineLogger('info', output);
    logger.info('lost');
    ends[0]?.(new Error('write EPIPE'));
    expect(output.dropped).toBe(1);
    logger.info('read');
    ends[1]?.();
    expect(written.map((text) => text.replace(/.*"message":"([^"]*)".*/, '$1').trim())).toEqual([
      'lost',
      'Dropped log lines because nobody read them or the disk was full',
      'read',
    ]);
    expect(written[1]).toContain('"lines":1');
  });
});
