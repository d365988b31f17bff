import ts from 'typescript';

/** The function of the sandbox's global object that instrumented files call. */
export const HOOK = '__mutationReach';

/**
 * Returns the text of a file that reports which of its functions run. The hook gets the position of each,
 * and -1 when the file is loaded.
 */
export function instrumented(file: string, text: string): string {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const call = (position: number): string => `globalThis.${HOOK}?.(${JSON.stringify(file)}, ${position})`;
  const insertions: { readonly at: number; readonly text: string }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const body = node.body as ts.Node;
      if (ts.isBlock(body)) insertions.push({ at: body.getStart() + 1, text: `${call(node.getStart())};` });
      else
        insertions.push(
          { at: body.getStart(), text: `(${call(node.getStart())}, ` },
          { at: body.end, text: ')' },
        );
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  insertions.push({ at: source.getStart(), text: `${call(-1)};` });
  insertions.sort((a, b) => a.at - b.at);

  let result = '';
  let last = 0;
  for (const insertion of insertions) {
    result += text.slice(last, insertion.at) + insertion.text;
    last = insertion.at;
  }
  return result + text.slice(last);
}

/**
 * Returns the position that the hook gets for the innermost function around a place, or -1 outside all
 * functions.
 */
export function functionAround(file: string, text: string): (position: number) => number {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const functions: { readonly start: number; readonly end: number }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined)
      functions.push({ start: node.getStart(), end: node.end });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return (position) =>
    functions.reduce(
      (best, { start, end }) => (start < position && position < end && start > best ? start : best),
      -1,
    );
}
