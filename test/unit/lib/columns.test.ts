import { columns } from '../../../src/lib/columns';

it('columns aligns every column except the last', () => {
  expect(columns([])).toBe('');
  expect(columns([['a', 'long cell', 'x'], ['bcd', 'e', 'yy'], ['only']])).toBe(
    'a     long cell  x\nbcd   e          yy\nonly\n',
  );
});

it('columns lays out as many rows as a long tape has', () => {
  const rows = Array.from({ length: 200_000 }, (_, at) => [String(at), 'x']);
  const lines = columns(rows).split('\n');
  expect(lines).toHaveLength(200_001);
  expect(lines[0]).toBe('0       x');
  expect(lines[199_999]).toBe('199999  x');
});
