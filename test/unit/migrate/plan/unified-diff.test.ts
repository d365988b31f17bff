import { unifiedDiff } from '../../../../src/migrate/plan/unified-diff';

const lines = (...words: string[]) => words.map((word) => `${word}\n`).join('');

describe('unifiedDiff', () => {
  it('is empty for equal texts', () => {
    expect(unifiedDiff('/a', 'x\n', 'x\n')).toBe('');
  });

  it('shows a change with three lines around it', () => {
    expect(
      unifiedDiff(
        '/etc/a',
        lines('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'),
        lines('a', 'b', 'c', 'd', 'E', 'f', 'g', 'h', 'i'),
      ),
    ).toBe('--- a/etc/a\n+++ b/etc/a\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n');
  });

  it('has a hunk for each of two distant changes', () => {
    expect(
      unifiedDiff(
        '/a',
        lines('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'),
        lines('A', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm'),
      ),
    ).toBe('--- a/a\n+++ b/a\n@@ -1,4 +1,4 @@\n-a\n+A\n b\n c\n d\n@@ -10,3 +10,4 @@\n j\n k\n l\n+m\n');
  });

  it('makes a file from nothing', () => {
    expect(unifiedDiff('/a', undefined, 'x\n')).toBe('--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n+x\n');
  });

  it('marks a last line without a newline', () => {
    expect(unifiedDiff('/a', 'x', 'x\n')).toBe(
      '--- a/a\n+++ b/a\n@@ -1,1 +1,1 @@\n-x\n\\ No newline at end of file\n+x\n',
    );
  });
});
