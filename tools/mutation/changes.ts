import ts from 'typescript';

/** A replacement of a part of the source text, such as a node. */
export interface Change {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

const { SyntaxKind } = ts;

const COMPARISONS: Readonly<Partial<Record<ts.SyntaxKind, readonly string[]>>> = {
  [SyntaxKind.LessThanToken]: ['<=', '>='],
  [SyntaxKind.LessThanEqualsToken]: ['<', '>'],
  [SyntaxKind.GreaterThanToken]: ['>=', '<='],
  [SyntaxKind.GreaterThanEqualsToken]: ['>', '<'],
  [SyntaxKind.EqualsEqualsEqualsToken]: ['!=='],
  [SyntaxKind.ExclamationEqualsEqualsToken]: ['==='],
};
const ARITHMETIC: Readonly<Partial<Record<ts.SyntaxKind, string>>> = {
  [SyntaxKind.PlusToken]: '-',
  [SyntaxKind.MinusToken]: '+',
  [SyntaxKind.AsteriskToken]: '/',
  [SyntaxKind.SlashToken]: '*',
  [SyntaxKind.PercentToken]: '*',
  [SyntaxKind.AsteriskAsteriskToken]: '*',
  [SyntaxKind.AmpersandToken]: '|',
  [SyntaxKind.BarToken]: '&',
  [SyntaxKind.LessThanLessThanToken]: '>>',
  [SyntaxKind.GreaterThanGreaterThanToken]: '<<',
  [SyntaxKind.GreaterThanGreaterThanGreaterThanToken]: '<<',
  [SyntaxKind.PlusEqualsToken]: '-=',
  [SyntaxKind.MinusEqualsToken]: '+=',
  [SyntaxKind.AsteriskEqualsToken]: '/=',
  [SyntaxKind.SlashEqualsToken]: '*=',
  [SyntaxKind.BarEqualsToken]: '&=',
  [SyntaxKind.AmpersandEqualsToken]: '|=',
  [SyntaxKind.QuestionQuestionEqualsToken]: '=',
};
const LOGICAL = new Set<ts.SyntaxKind>([
  SyntaxKind.AmpersandAmpersandToken,
  SyntaxKind.BarBarToken,
  SyntaxKind.QuestionQuestionToken,
]);
/** The methods that a mutation swaps. The table is a map, because an object would also have `toString`. */
const OTHER_METHOD: ReadonlyMap<string, string> = new Map(
  Object.entries({
    some: 'every',
    every: 'some',
    startsWith: 'endsWith',
    endsWith: 'startsWith',
    min: 'max',
    max: 'min',
    toLowerCase: 'toUpperCase',
    toUpperCase: 'toLowerCase',
    indexOf: 'lastIndexOf',
    lastIndexOf: 'indexOf',
    ceil: 'floor',
    floor: 'ceil',
  }),
);
/** Methods whose result has the type of the object that they are called on. */
const DROPPED_METHODS = new Set([
  'filter',
  'sort',
  'toSorted',
  'slice',
  'subarray',
  'trim',
  'reverse',
  'toReversed',
  'replace',
]);

/** Returns the changes of a node itself, without those of its children. */
export function changesOf(node: ts.Node): Change[] {
  if (ts.isBinaryExpression(node)) return ofBinary(node);
  if (ts.isPrefixUnaryExpression(node)) return ofPrefix(node);
  if (ts.isPostfixUnaryExpression(node)) return [ofCount(node, node.operand.end)];
  if (ts.isIfStatement(node)) return ofCondition(node.expression);
  if (ts.isConditionalExpression(node)) return ofCondition(node.condition);
  if (ts.isWhileStatement(node) || ts.isDoStatement(node)) return ofLoop(node.expression);
  if (ts.isForStatement(node) && node.condition !== undefined) return ofLoop(node.condition);
  if (ts.isExpressionStatement(node)) return ofStatement(node);
  if (ts.isReturnStatement(node)) return ofReturn(node);
  if (ts.isThrowStatement(node)) return [replaced('throw removed', node, ';')];
  if (ts.isContinueStatement(node)) return [replaced('statement removed', node, ';')];
  if (ts.isBreakStatement(node) && !ts.isCaseOrDefaultClause(node.parent))
    return [replaced('statement removed', node, ';')];
  if (ts.isArrowFunction(node)) return ofArrow(node);
  if (ts.isCaseOrDefaultClause(node)) return [replaced('case removed', node, '')];
  if (ts.isArrayLiteralExpression(node)) return ofArray(node);
  if (ts.isObjectLiteralExpression(node)) return ofObject(node);
  if (ts.isCallExpression(node)) return [...ofOptional(node), ...ofCall(node)];
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) return ofOptional(node);
  return ofLiteral(node);
}

function ofBinary(node: ts.BinaryExpression): Change[] {
  const { operatorToken: operator, left, right } = node;
  const comparisons = COMPARISONS[operator.kind];
  if (comparisons !== undefined)
    return comparisons.map((other) =>
      replaced(other === '===' || other === '!==' ? 'equality' : 'boundary', operator, other),
    );
  if (LOGICAL.has(operator.kind))
    return [
      replaced('operand dropped', node, `(${left.getText()})`),
      replaced('operand dropped', node, `(${right.getText()})`),
    ];
  const arithmetic = ARITHMETIC[operator.kind];
  if (arithmetic === undefined) return [];
  // A plus between texts joins them and is not arithmetic.
  if (operator.kind === SyntaxKind.PlusToken && /['"`]/.test(node.getText())) return [];
  return [replaced('arithmetic', operator, arithmetic)];
}

function ofPrefix(node: ts.PrefixUnaryExpression): Change[] {
  const operand = node.operand.getText();
  switch (node.operator) {
    case SyntaxKind.ExclamationToken:
      return [replaced('negation', node, `(${operand})`)];
    case SyntaxKind.MinusToken:
    case SyntaxKind.TildeToken:
      return [replaced('arithmetic', node, `(${operand})`)];
    case SyntaxKind.PlusPlusToken:
    case SyntaxKind.MinusMinusToken:
      return [ofCount(node, node.getStart())];
    case SyntaxKind.PlusToken:
      return [];
  }
}

function ofCount(node: ts.PrefixUnaryExpression | ts.PostfixUnaryExpression, start: number): Change {
  const replacement = node.operator === SyntaxKind.PlusPlusToken ? '--' : '++';
  return { kind: 'arithmetic', start, end: start + 2, replacement };
}

function ofCondition(condition: ts.Expression): Change[] {
  return ['true', 'false']
    .filter((value) => value !== condition.getText())
    .map((value) => replaced('condition', condition, value));
}

/** Returns the change that skips a loop. The opposite change would make an endless loop, which only reaches the time limit. */
function ofLoop(condition: ts.Expression): Change[] {
  return condition.kind === SyntaxKind.TrueKeyword ? [] : [replaced('condition', condition, 'false')];
}

function ofStatement(node: ts.ExpressionStatement): Change[] {
  const { expression } = node;
  if (ts.isStringLiteral(expression)) return [];
  // Without this call `this` cannot be used, so every test of the class would notice.
  if (ts.isCallExpression(expression) && expression.expression.kind === SyntaxKind.SuperKeyword) return [];
  const changes = [replaced('statement removed', node, ';')];
  if (ts.isAwaitExpression(expression))
    changes.push(replaced('await dropped', expression, expression.expression.getText()));
  return changes;
}

function ofReturn(node: ts.ReturnStatement): Change[] {
  const { expression } = node;
  if (expression === undefined) return [replaced('statement removed', node, ';')];
  const changes: Change[] = [];
  if (!isUndefined(expression)) changes.push(replaced('value not returned', expression, 'undefined'));
  if (ts.isAwaitExpression(expression))
    changes.push(replaced('await dropped', expression, expression.expression.getText()));
  return changes;
}

function ofArrow(node: ts.ArrowFunction): Change[] {
  return ts.isBlock(node.body) || isUndefined(node.body)
    ? []
    : [replaced('value not returned', node.body, 'undefined')];
}

function ofArray(node: ts.ArrayLiteralExpression): Change[] {
  if (node.elements.length === 0) return [];
  const changes = [replaced('array emptied', node, '[]')];
  if (node.elements.length > 1)
    for (const element of node.elements)
      if (ts.isSpreadElement(element)) changes.push(replaced('element removed', element, '...[]'));
  return changes;
}

function ofObject(node: ts.ObjectLiteralExpression): Change[] {
  // The target of an assignment, `({ a } = b)`, is a pattern.
  if (ts.isBinaryExpression(node.parent) && node.parent.left === node) return [];
  if (node.properties.length === 0) return [];
  if (node.properties.length === 1) return [replaced('object emptied', node, '({})')];
  return node.properties.map((property) => replaced('property removed', property, '...{}'));
}

function ofOptional(
  node: ts.CallExpression | ts.PropertyAccessExpression | ts.ElementAccessExpression,
): Change[] {
  const token = node.questionDotToken;
  if (token === undefined) return [];
  return [replaced('optional chain', token, ts.isPropertyAccessExpression(node) ? '.' : '')];
}

function ofCall(node: ts.CallExpression): Change[] {
  if (!ts.isPropertyAccessExpression(node.expression)) return [];
  const { name, expression: target } = node.expression;
  const other = OTHER_METHOD.get(name.text);
  if (other !== undefined) return [replaced('method', name, other)];
  return DROPPED_METHODS.has(name.text) ? [replaced('method', node, target.getText())] : [];
}

function ofLiteral(node: ts.Node): Change[] {
  if (node.kind === SyntaxKind.TrueKeyword) return [replaced('boolean', node, 'false')];
  if (node.kind === SyntaxKind.FalseKeyword) return [replaced('boolean', node, 'true')];
  if (ts.isRegularExpressionLiteral(node)) return ofRegExp(node);
  if (ts.isTemplateExpression(node)) return [replaced('text', node, '``')];
  if (!ts.isStringLiteralLike(node) || isName(node)) return [];
  return [replaced('text', node, node.text === '' ? "'mutated'" : "''")];
}

function ofRegExp(node: ts.RegularExpressionLiteral): Change[] {
  const changes: Change[] = [];
  const end = node.text.lastIndexOf('/');
  if (node.text.startsWith('/^')) changes.push(replaced('anchor', node, `/${node.text.slice(2)}`));
  if (/[^\\]\$$/.test(node.text.slice(0, end)))
    changes.push(replaced('anchor', node, node.text.slice(0, end - 1) + node.text.slice(end)));
  return changes;
}

/** Returns whether a text names a property or a module. */
function isName(node: ts.StringLiteralLike): boolean {
  const { parent } = node;
  return (
    (ts.isPropertyAssignment(parent) && parent.name === node) ||
    ts.isExternalModuleReference(parent) ||
    (ts.isCallExpression(parent) && /^(require|import)\b/.test(parent.getText())) ||
    ts.isTaggedTemplateExpression(parent)
  );
}

function isUndefined(node: ts.Expression): boolean {
  return ts.isIdentifier(node) && node.text === 'undefined';
}

function replaced(kind: string, node: ts.Node, replacement: string): Change {
  return { kind, start: node.getStart(), end: node.end, replacement };
}
