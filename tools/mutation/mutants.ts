import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import ts from 'typescript';
import { isExcludedCall, isExcludedText } from './excluded';
import { changesOf, type Change } from './changes';

/** One possible small fault in a source file. */
export interface Mutant {
  /**
   * The id stays the same when lines move or the file changes its folder. It is a digest of the kind, the
   * place in the code and the text.
   */
  readonly id: string;
  readonly file: string;
  readonly line: number;
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  readonly original: string;
  readonly replacement: string;
}

/** Returns every mutant of a file, in the order of the text. @param file path relative to the repository. */
export function mutantsOf(file: string, text: string): Mutant[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const found: { readonly change: Change; readonly scope: string }[] = [];
  const visit = (node: ts.Node, scope: string): void => {
    if (isWithoutEffect(node) || isExcludedCall(node)) return;
    if (!isExcludedText(node)) found.push(...changesOf(node).map((change) => ({ change, scope })));
    const name = nameOf(node);
    ts.forEachChild(node, (child) => visit(child, name === undefined ? scope : `${scope}/${name}`));
  };
  visit(source, '');
  found.sort((a, b) => a.change.start - b.change.start || a.change.end - b.change.end);

  const twins = new Map<string, number>();
  return found.map(({ change, scope }) => {
    const original = text.slice(change.start, change.end);
    const key = [basename(file), scope, change.kind, original, change.replacement].join('\0');
    const twin = twins.get(key) ?? 0;
    twins.set(key, twin + 1);
    return {
      ...change,
      id: createHash('sha256').update(`${key}\0${twin}`).digest('hex').slice(0, 8),
      file,
      line: source.getLineAndCharacterOfPosition(change.start).line + 1,
      original,
    };
  });
}

export function mutated(text: string, mutant: Pick<Mutant, 'start' | 'end' | 'replacement'>): string {
  return text.slice(0, mutant.start) + mutant.replacement + text.slice(mutant.end);
}

/** Returns whether a node is a type, which does not exist at run time, or an import, which would not compile with a change. */
function isWithoutEffect(node: ts.Node): boolean {
  return (
    ts.isTypeNode(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isImportDeclaration(node) ||
    (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined)
  );
}

function nameOf(node: ts.Node): string | undefined {
  const { name } = node as Partial<ts.NamedDeclaration>;
  return name !== undefined &&
    (ts.isIdentifier(name) || ts.isPrivateIdentifier(name) || ts.isStringLiteral(name))
    ? name.text
    : undefined;
}
