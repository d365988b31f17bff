import { createStderrLogger, LOG_LEVELS, silentLogger, type LogLevel } from '../../../src/lib/logger';

/** What a logger of that level writes; winston's console transport writes through `console._stderr`. */
function linesOf(level: LogLevel, log: (logger: ReturnType<typeof createStderrLogger>) => void): object[] {
  const written: string[] = [];
  const { _stderr: stderr } = console as unknown as { _stderr?: NodeJS.WriteStream };
  const spies = [process.stderr, ...(stderr === undefined ? [] : [stderr])].map((stream) =>
    jest.spyOn(stream, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    }),
  );
  const stdout = jest.spyOn(process.stdout, 'write').mockImplementation(() => {
    throw new Error('stdout belongs to commands, not to the log');
  });
  const fallback = jest.spyOn(console, 'error').mockImplementation((text) => void written.push(`${text}\n`));
  try {
    log(createStderrLogger(level));
  } finally {
    for (const spy of [...spies, stdout, fallback]) spy.mockRestore();
  }
  return written.map((line) => JSON.parse(line) as object);
}

const logAll = (logger: ReturnType<typeof createStderrLogger>) => {
  logger.error('e');
  logger.warn('w');
  logger.info('i');
  logger.debug(() => 'd');
  logger.trace(() => 't');
};

describe('logger', () => {
  it.each(LOG_LEVELS.map((level, index) => ({ level, expected: LOG_LEVELS.slice(0, index + 1) })))(
    '$level writes $expected',
    ({ level, expected }) => {
      expect(linesOf(level, logAll).map((line) => (line as { level: string }).level)).toEqual(expected);
    },
  );

  it('is one JSON object a line, with time, message and fields', () => {
    const [line, ...more] = linesOf('info', (logger) => logger.warn('what\nhappened', { container: 'c1' }));
    expect(more).toEqual([]);
    expect(line).toEqual({
      level: 'warn',
      message: 'what\nhappened',
      container: 'c1',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
    });
  });

  it('with() adds fields to every line; those of the line win', () => {
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

  it('asks for the text of a line only when it is written', () => {
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
});
