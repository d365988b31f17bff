import Long from 'long';
import * as validate from '../../../../src/translate/shared/validate';
import { thrownBy } from '../../support/errors';

const refusal = (work: () => unknown) => thrownBy(work).replace(/^INVALID_ARGUMENT /, '');

describe('validate', () => {
  it.each<{ desc: string; work: () => unknown; result: unknown }>([
    { desc: 'required: a falsy value is present', work: () => validate.required(0, 'f'), result: 0 },
    { desc: 'nonEmpty', work: () => validate.nonEmpty(' ', 'f'), result: ' ' },
    { desc: 'withoutNul: empty', work: () => validate.withoutNul('', 'f'), result: '' },
    {
      desc: 'namePart: all allowed characters',
      work: () => validate.namePart('aZ0_.-', 'f'),
      result: 'aZ0_.-',
    },
    {
      desc: 'namePart: 253 characters',
      work: () => validate.namePart('a'.repeat(253), 'f').length,
      result: 253,
    },
    { desc: 'oneOf', work: () => validate.oneOf(2, [0, 2], 'f', 'n'), result: 2 },
    { desc: 'boundedMap', work: () => validate.boundedMap({ a: '' }, 'f'), result: { a: '' } },
    { desc: 'absolutePath', work: () => validate.absolutePath('/a', 'f'), result: '/a' },
    { desc: 'integer: a number', work: () => validate.integer(-1, 'f', -1, 5), result: -1 },
    {
      desc: 'integer: a Long',
      work: () => validate.integer(Long.fromNumber(2 ** 52), 'f', 0, 2 ** 53),
      result: 2 ** 52,
    },
  ])('accepts $desc', ({ work, result }) => expect(work()).toEqual(result));

  it.each([
    { desc: 'required: null', work: () => validate.required(null, 'f'), why: 'f: is required' },
    { desc: 'required: undefined', work: () => validate.required(undefined, 'f'), why: 'f: is required' },
    { desc: 'nonEmpty: empty', work: () => validate.nonEmpty('', 'f'), why: 'f: is required' },
    { desc: 'nonEmpty: NUL', work: () => validate.nonEmpty('a\0', 'f'), why: 'f: contains a NUL character' },
    { desc: 'namePart: empty', work: () => validate.namePart('', 'f'), why: 'f: is required' },
    {
      desc: 'namePart: too long',
      work: () => validate.namePart('a'.repeat(254), 'f'),
      why: 'f: has 254 characters, at most 253 are allowed',
    },
    {
      desc: 'namePart: a slash',
      work: () => validate.namePart('a/b', 'f'),
      why: 'f: "a/b" may contain only',
    },
    {
      desc: 'namePart: a newline',
      work: () => validate.namePart('a\n', 'f'),
      why: 'f: "a\\n" may contain only',
    },
    {
      desc: 'oneOf',
      work: () => validate.oneOf(9, [0, 1], 'f', 'A or B'),
      why: 'f: unknown value 9, expected A or B',
    },
    {
      desc: 'boundedMap: empty key',
      work: () => validate.boundedMap({ '': 'x' }, 'f'),
      why: 'f key: is required',
    },
    {
      desc: 'boundedMap: NUL in a value',
      work: () => validate.boundedMap({ a: '\0' }, 'f'),
      why: 'f["a"]: contains a NUL',
    },
    {
      desc: 'boundedMap: __proto__',
      work: () => validate.boundedMap(JSON.parse('{"__proto__":"x"}') as Record<string, string>, 'f'),
      why: 'f: the key "__proto__"',
    },
    {
      desc: 'boundedMap: a value of 10 MiB',
      work: () => validate.boundedMap({ a: 'x'.repeat(10 << 20) }, 'f'),
      why: 'f: keys and values exceed 524288 bytes at key "a"',
    },
    {
      desc: 'boundedMap: the limit counts bytes, not characters',
      work: () => validate.boundedMap({ a: '\u20ac'.repeat(200_000) }, 'f'),
      why: 'f: keys and values exceed',
    },
    {
      desc: 'boundedMap: too much in total',
      work: () => validate.boundedMap({ a: 'x'.repeat(300_000), b: 'x'.repeat(300_000) }, 'f'),
      why: 'f: keys and values exceed 524288 bytes at key "b"',
    },
    {
      desc: 'absolutePath: relative',
      work: () => validate.absolutePath('a/b', 'f'),
      why: 'f: "a/b" is not an absolute path',
    },
    { desc: 'absolutePath: empty', work: () => validate.absolutePath('', 'f'), why: 'f: is required' },
    {
      desc: 'integer: too small',
      work: () => validate.integer(-2, 'f', -1, 5),
      why: 'f: -2 is not between -1 and 5',
    },
    { desc: 'integer: too large', work: () => validate.integer(6, 'f', -1, 5), why: 'f: 6 is not between' },
    {
      desc: 'integer: not a safe integer',
      work: () => validate.integer(Long.MAX_VALUE, 'f', 0, Infinity),
      why: 'f: 9223372036854776000 is not',
    },
  ])('refuses $desc', ({ work, why }) => expect(refusal(work)).toContain(why));
});
