import { counted } from '../../../src/lib/counted';

describe('a count with its noun', () => {
  it.each([
    [0, '0 pods'],
    [1, '1 pod'],
    [2, '2 pods'],
  ])('is in the singular only for 1: %d', (count, text) => {
    expect(counted(count, 'pod')).toBe(text);
  });

  it('has a plural that the caller names', () => {
    expect(counted(1, 'entry is', 'entries are')).toBe('1 entry is');
    expect(counted(2, 'entry is', 'entries are')).toBe('2 entries are');
  });
});
