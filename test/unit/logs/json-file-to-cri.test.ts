import { RecordTranslator } from '../../../src/logs/json-file-to-cri';
import { dockerEscape } from './support/fake-docker-log';

const TIME = '2026-11-22T03:55:00.123456789Z';
const record = (log: string, stream = 'stdout', time = TIME): string =>
  `{"log":"${log}","stream":"${stream}","time":"${time}"}\n`;

function translate(input: string | Buffer): {
  text: Buffer;
  consumed: number;
  records: number;
  unreadable: number;
} {
  const bytes = Buffer.from(input);
  const source = Buffer.alloc(bytes.length + 64, record('stale\\n'));
  bytes.copy(source);
  const target = Buffer.alloc(source.length * 2 + 200);
  const now = new Date('2026-01-01T00:00:00Z');
  const { written, ...rest } = new RecordTranslator(source, target, () => now).run(bytes.length);
  return { text: target.subarray(0, written), ...rest };
}

describe('RecordTranslator', () => {
  const out = (text: string, tag = 'F', stream = 'stdout'): string => `${TIME} ${stream} ${tag} ${text}\n`;
  const cases: [name: string, input: string, expected: string][] = [
    ['a line', record('hello\\n'), out('hello')],
    ['stderr', record('hello\\n', 'stderr'), out('hello', 'F', 'stderr')],
    ['an empty line', record('\\n'), out('')],
    ['a part of a long line', record('x'.repeat(16384)), out('x'.repeat(16384), 'P')],
    ['the end of a long line', record('tail\\n'), out('tail')],
    ['a part followed by its end', record('ab') + record('cd\\n'), out('ab', 'P') + out('cd')],
    ['quotes and backslashes', record('say \\"hi\\" c:\\\\n \\\\\\n'), out('say "hi" c:\\n \\')],
    ['a part that ends in a backslash', record('a\\\\'), out('a\\', 'P')],
    ['a part that ends in a quote', record('a\\"'), out('a"', 'P')],
    ['a part that ends in backslash and n', record('a\\\\n'), out('a\\n', 'P')],
    ['HTML escapes', record('\\u003ca\\u003e\\u0026\\n'), out('<a>&')],
    ['line separators', record('\\u2028\\u2029\\n'), out('\u2028\u2029')],
    ['control characters', record('\\u0000\\u0009\\u001b[0m\\u007f\\n'), out('\u0000\t\u001b[0m\u007f')],
    ['short escapes', record('\\t\\b\\f\\/\\n'), out('\t\b\f/')],
    ['a terminal line', record('hello\\r\\n'), out('hello\r')],
    ['a lone carriage return', record('10%\\r20%'), out('10%\r20%', 'P')],
    ['a replaced byte', record('a\\ufffdb\\n'), out('a\ufffdb')],
    ['an upper-case escape', record('\\u00E9\\n'), out('é')],
    ['UTF-8', record('grüße 日本 😀\\n'), out('grüße 日本 😀')],
    ['a surrogate pair', record('\\ud83d\\ude00\\n'), out('😀')],
    ['braces that look like an end', record('\\"}\\n'), out('"}')],
    ['a text that looks like a record', record('{\\"log\\":\\"x\\"}\\n'), out('{"log":"x"}')],
    ['a line break inside', record('a\\nb\\n'), out('a') + out('b')],
    ['a line break inside a part', record('a\\nb'), out('a') + out('b', 'P')],
    ['a record without text', `{"stream":"stdout","time":"${TIME}"}\n`, out('', 'P')],
    [
      'attributes',
      `{"log":"a\\n","stream":"stderr","attrs":{"tag":"x","n":"\\"time\\":"},"time":"${TIME}"}\n`,
      out('a', 'F', 'stderr'),
    ],
    [
      'attributes after the time',
      `{"log":"a\\n","stream":"stdout","time":"${TIME}","attrs":{"a":"b"}}\n`,
      out('a'),
    ],
    ['fields in another order', `{"time":"${TIME}","stream":"stdout","log":"a\\n"}\n`, out('a')],
    ['blanks between fields', `{ "log": "a\\n", "stream": "stdout", "time": "${TIME}" }\n`, out('a')],
    ['a torn record before a whole one', `{"log":"half ${record('whole\\n')}`, out('whole')],
    ['zeros of a power cut before a record', `\0\0\0\0${record('whole\\n')}`, out('whole')],
  ];
  it.each(cases)('translates %s', (_name, input, expected) => {
    const result = translate(input);
    expect(result.text.toString()).toBe(expected);
    expect(result).toMatchObject({ consumed: Buffer.byteLength(input), unreadable: 0 });
  });

  it.each([
    ['2026-11-22T03:55:00Z', '2026-11-22T03:55:00.000000000Z'],
    ['2026-11-22T03:55:00.1Z', '2026-11-22T03:55:00.100000000Z'],
    ['2026-11-22T03:55:00.12345678Z', '2026-11-22T03:55:00.123456780Z'],
    [TIME, TIME],
    ['2026-11-22T03:55:00.5+01:00', '2026-11-22T03:55:00.5+01:00'],
  ])('writes the time %s as %s', (time, expected) => {
    expect(translate(record('a\\n', 'stdout', time)).text.toString()).toBe(`${expected} stdout F a\n`);
  });

  it('leaves half a record to the next call, wherever it is cut', () => {
    const whole = record('first "x" \\u003c\\n'.replaceAll('"', '\\"'));
    const input = whole + record('second \\u003c \\\\ \\n', 'stderr');
    for (let length = 0; length < input.length; length++) {
      const { consumed, unreadable } = translate(input.slice(0, length));
      expect([length, consumed, unreadable]).toEqual([length, length < whole.length ? 0 : whole.length, 0]);
    }
  });

  it('writes nothing of half a record', () => {
    const source = Buffer.from(record('hello\\n').slice(0, -5));
    const nothing = { consumed: 0, written: 0, records: 0, unreadable: 0 };
    expect(new RecordTranslator(source, Buffer.alloc(500)).run(source.length)).toEqual(nothing);
    expect(new RecordTranslator(source, Buffer.alloc(500)).run(0)).toEqual(nothing);
  });

  it('writes a note in place of an invalid record', () => {
    const { text, unreadable, records } = translate(`garbage\n${record('a\\n')}{"log":"x"}\n`);
    expect(text.toString().split('\n').slice(0, 3)).toEqual([
      "2026-01-01T00:00:00.000000000Z stderr F dockbridge: a record of 7 bytes in the Engine's log was unreadable",
      `${TIME} stdout F a`,
      "2026-01-01T00:00:00.000000000Z stderr F dockbridge: a record of 11 bytes in the Engine's log was unreadable",
    ]);
    expect([records, unreadable]).toEqual([3, 2]);
  });

  it('keeps all text that Docker can escape', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const bytes = Buffer.from(
        Array.from(
          { length: seed % 90 },
          (_, i) => (seed * (i + 7) * 2654435761) % (seed % 2 === 0 ? 256 : 128),
        ),
      ).filter((byte) => byte !== 0x0a);
      const input = record(`${dockerEscape(Buffer.from(bytes))}\\n`);
      const expected = Buffer.concat([
        Buffer.from(`${TIME} stdout F `),
        // Bytes that are not UTF-8 are lost in the Engine's JSON.
        Buffer.from(Buffer.from(bytes).toString('utf8')),
        Buffer.from('\n'),
      ]);
      expect(translate(input).text).toEqual(expected);
    }
  });

  it('writes no more than fits into the target', () => {
    const five = record('a\\nb\\nc\\nd\\ne\\n');
    const target = Buffer.alloc(140);
    const run = (input: string): unknown =>
      new RecordTranslator(Buffer.from(input), target).run(input.length);
    // Five lines from one record would never fit, so a note replaces them.
    expect(run(five)).toMatchObject({ consumed: five.length, unreadable: 1 });
    expect(run(record('x\\n') + five)).toMatchObject({ consumed: record('x\\n').length, unreadable: 0 });
  });
});
