import ts from 'typescript';

const LEVELS = new Set(['debug', 'info', 'warn', 'error']);
/**
 * Functions of `src/lib/errors.ts` that make errors, with the position of their first argument that is prose.
 * The first argument of the last two names a field, so it is mutated.
 */
const PROSE_FROM: Readonly<Record<string, number>> = {
  notFound: 0,
  alreadyExists: 0,
  failedPrecondition: 0,
  unavailable: 0,
  deadlineExceeded: 0,
  cancelled: 0,
  internal: 0,
  invalidArgument: 1,
  unsupported: 1,
};
const METRIC_MAKERS = new Set(['counter', 'gauge', 'histogram']);

/** Returns whether a node is a log line. Tests need not notice a fault in its text or its absence. */
export function isExcludedCall(node: ts.Node): boolean {
  const call = ts.isExpressionStatement(node) ? node.expression : node;
  return (
    ts.isCallExpression(call) &&
    ts.isPropertyAccessExpression(call.expression) &&
    LEVELS.has(call.expression.name.text) &&
    /(^|\.)#?log(ger)?$/i.test(call.expression.expression.getText())
  );
}

/** Returns whether a node is text for people: the prose of an error, or the help of a metric. */
export function isExcludedText(node: ts.Node): boolean {
  if (!ts.isStringLiteralLike(node) && !ts.isTemplateExpression(node) && !isConcatenation(node)) return false;
  for (
    let child: ts.Node = node, { parent } = node;
    isArgument(parent, child);
    child = parent, { parent } = parent
  ) {
    if (ts.isPropertyAssignment(parent) && ts.isIdentifier(parent.name) && parent.name.text === 'help')
      return true;
    const call = ts.isCallExpression(parent) || ts.isNewExpression(parent) ? parent : undefined;
    if (call === undefined || child === call.expression) continue;
    const name = call.expression.getText().replace(/^.*\./, '');
    const position = (call.arguments ?? []).findIndex((argument) => argument === child);
    if (METRIC_MAKERS.has(name) && position === 1) return true;
    if (ts.isNewExpression(call) && name.endsWith('Error') && !isCode(node)) return true;
    if (position >= (PROSE_FROM[name] ?? Infinity)) return true;
  }
  return false;
}

/** Walks up through nodes that only join several texts into one. */
function isArgument(parent: ts.Node, child: ts.Node): boolean {
  return (
    ts.isTemplateSpan(parent) ||
    ts.isTemplateExpression(parent) ||
    isConcatenation(parent) ||
    ts.isParenthesizedExpression(parent) ||
    ts.isPropertyAssignment(parent) ||
    (ts.isConditionalExpression(parent) && parent.condition !== child) ||
    ts.isCallExpression(parent) ||
    ts.isNewExpression(parent)
  );
}

function isConcatenation(node: ts.Node): boolean {
  return (
    ts.isBinaryExpression(node) &&
    node.operatorToken.kind === ts.SyntaxKind.PlusToken &&
    /['"`]/.test(node.getText())
  );
}

function isCode(node: ts.Node): boolean {
  return ts.isStringLiteral(node) && /^[A-Z_]+$/.test(node.text);
}
