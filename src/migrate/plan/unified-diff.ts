const CONTEXT = 3;

/** Larger files are shown as one replacement, because the comparison takes memory of the product of their lengths. */
const MAX_CELLS = 4_000_000;

interface Edit {
  readonly kind: ' ' | '-' | '+';
  readonly line: string;
}

/** Returns a unified diff that `patch -p1` applies in the root directory; '' when the texts are equal. */
export function unifiedDiff(path: string, before: string | undefined, after: string): string {
  if (before === after) return '';
  const edits = editsBetween(linesOf(before ?? ''), linesOf(after));
  const name = path.replace(/^\//, '');
  const from = before === undefined ? '/dev/null' : `a/${name}`;
  return `--- ${from}\n+++ b/${name}\n${hunks(edits)}`;
}

/** A last line without a newline differs from the same line with one. */
function linesOf(text: string): string[] {
  if (text === '') return [];
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  const whole = lines.map((line) => `${line}\n`);
  return rest === '' ? whole : [...whole, `${rest}\n\\ No newline at end of file\n`];
}

function editsBetween(a: readonly string[], b: readonly string[]): Edit[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end])
    end++;
  const same = (line: string): Edit => ({ kind: ' ', line });
  return [
    ...a.slice(0, start).map(same),
    ...changed(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...a.slice(a.length - end).map(same),
  ];
}

/** Walks through the table of longest common subsequences. */
function changed(a: readonly string[], b: readonly string[]): Edit[] {
  const isTooLarge = a.length * b.length > MAX_CELLS;
  const width = b.length + 1;
  const longest = new Uint32Array(isTooLarge ? 0 : (a.length + 1) * width);
  for (let row = a.length - 1; row >= 0 && !isTooLarge; row--)
    for (let column = b.length - 1; column >= 0; column--)
      longest[row * width + column] =
        a[row] === b[column]
          ? 1 + (longest[(row + 1) * width + column + 1] ?? 0)
          : Math.max(longest[(row + 1) * width + column] ?? 0, longest[row * width + column + 1] ?? 0);
  const edits: Edit[] = [];
  let row = 0;
  let column = 0;
  while (row < a.length || column < b.length) {
    const isSame = row < a.length && column < b.length && a[row] === b[column] && !isTooLarge;
    const below = longest[(row + 1) * width + column] ?? 0;
    const right = longest[row * width + column + 1] ?? 0;
    if (isSame) edits.push({ kind: ' ', line: a[(column++, row++)] ?? '' });
    else if (row < a.length && (column >= b.length || isTooLarge || below >= right))
      edits.push({ kind: '-', line: a[row++] ?? '' });
    else edits.push({ kind: '+', line: b[column++] ?? '' });
  }
  return edits;
}

function hunks(edits: readonly Edit[]): string {
  const near = edits.map((_, at) =>
    edits.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(({ kind }) => kind !== ' '),
  );
  let text = '';
  let before = 0;
  let after = 0;
  for (let at = 0; at < edits.length;) {
    if (near[at] !== true) {
      before++;
      after++;
      at++;
      continue;
    }
    let end = at;
    while (near[end] === true) end++;
    const hunk = edits.slice(at, end);
    const removed = hunk.filter(({ kind }) => kind !== '+').length;
    const added = hunk.filter(({ kind }) => kind !== '-').length;
    text += `@@ -${range(before, removed)} +${range(after, added)} @@\n`;
    text += hunk.map(({ kind, line }) => `${kind}${line}`).join('');
    before += removed;
    after += added;
    at = end;
  }
  return text;
}

/** A range of no lines begins at the line before it. */
function range(start: number, count: number): string {
  return `${count === 0 ? start : start + 1},${count}`;
}
