import { createLateLogger, type LogFields, type Logger } from '../../../src/lib/logger';

describe('createLateLogger', () => {
  it('passes on the lines that were logged before there was a logger, and all later ones', () => {
    const lines: unknown[] = [];
    const at = (level: string) => (message: string, fields?: LogFields) =>
      void lines.push([level, message, fields]);
    const lazily = (level: string) => (message: () => string, fields?: () => LogFields) =>
      void lines.push([level, message(), fields?.()]);
    const real: Logger = {
      ...{ error: at('error'), warn: at('warn'), info: at('info') },
      ...{ debug: lazily('debug'), trace: lazily('trace'), with: () => real },
    };
    const late = createLateLogger();
    late.logger.error('one', { a: 1 });
    late.logger.with({ b: 2 }).debug(
      () => 'two',
      () => ({ c: 3 }),
    );
    expect(lines).toEqual([]);
    late.attach(real);
    late.logger.with({ b: 2 }).with({ d: 4 }).warn('three');
    late.logger.info('four');
    late.logger.trace(() => 'five');
    expect(lines).toEqual([
      ['error', 'one', { a: 1 }],
      ['debug', 'two', { b: 2, c: 3 }],
      ['warn', 'three', { b: 2, d: 4 }],
      ['info', 'four', {}],
      ['trace', 'five', {}],
    ]);
  });

  it('keeps at most a thousand lines', () => {
    let count = 0;
    const late = createLateLogger();
    for (let n = 0; n < 1_500; n++) late.logger.info('line');
    late.attach({ ...late.logger, info: () => (count += 1) });
    expect(count).toBe(1_000);
  });
});
