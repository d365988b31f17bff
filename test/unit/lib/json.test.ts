import { isObject, objects, parseObject, text } from '../../../src/lib/json';

const NOT_OBJECTS = [undefined, null, true, 1, 'text', [], [{}]];

describe('JSON of plugins and configurations', () => {
  it('is an object only if it has names', () => {
    expect(NOT_OBJECTS.filter(isObject)).toEqual([]);
    expect(isObject({})).toBe(true);
  });

  it('is parsed as an object, or not at all', () => {
    expect(parseObject('{"a":1}')).toEqual({ a: 1 });
    for (const json of ['', '{', '[]', 'null', '1', '"{}"']) expect(parseObject(json)).toBeUndefined();
  });

  it('returns the objects of a list, and none if it is not a list', () => {
    expect(objects([{ a: 1 }, ...NOT_OBJECTS, { b: 2 }])).toEqual([{ a: 1 }, { b: 2 }]);
    expect(objects({ 0: {} })).toEqual([]);
  });

  it('returns text only if the value is text', () => {
    expect(['a', '', 1, undefined, ['a']].map(text)).toEqual(['a', '', '', '', '']);
  });
});
