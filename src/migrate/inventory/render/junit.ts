import { escapeAttribute, escapeComment, escapeText } from '../../../lib/markup';
import type { Finding, Severity } from '../../finding';
import { verdict, type InventoryReport } from '../report';

const TOOL = 'dockbridge migrate inventory';
const SEVERITIES: readonly Severity[] = ['block', 'change', 'review', 'ok'];

/**
 * Renders the inventory for CI systems: a suite for each severity, a case for each finding. `block` and `change` are failures,
 * `review` is skipped with its reason.
 */
export function renderJunit(report: InventoryReport): string {
  const { node, findings } = report;
  const suites = SEVERITIES.map((severity) => findings.filter((one) => one.severity === severity));
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    `<testsuites name="${TOOL}"${counts(findings)}>\n`,
    ...suites.filter((some) => some.length > 0).map((some) => suite(node.hostname, some)),
    '</testsuites>\n',
    `<!-- ${escapeComment(`${node.hostname}: ${verdict(report)}`)} -->\n`,
  ].join('');
}

function suite(hostname: string, findings: readonly Finding[]): string {
  const [{ severity } = { severity: '' }] = findings;
  return [
    `  <testsuite name="${severity}" hostname="${escapeAttribute(hostname)}"${counts(findings)}>\n`,
    ...findings.map(testCase),
    '  </testsuite>\n',
  ].join('');
}

function counts(findings: readonly Finding[]): string {
  const failures = findings.filter(isFailed).length;
  const skipped = findings.filter(({ severity }) => severity === 'review').length;
  return ` tests="${findings.length}" failures="${failures}" errors="0" skipped="${skipped}"`;
}

function isFailed({ severity }: Finding): boolean {
  return severity === 'block' || severity === 'change';
}

function testCase(finding: Finding): string {
  const { id, severity, summary, evidence, advice, link } = finding;
  const head = `    <testcase classname="${TOOL}" name="${escapeAttribute(id)}"`;
  const places = evidence.map(({ where, what }) => `${where}: ${what}`);
  const details = [...places, advice, link].filter((line) => line !== '').join('\n');
  const message = escapeAttribute(summary);
  if (isFailed(finding))
    return `${head}>\n      <failure type="${severity}" message="${message}">${escapeText(details)}</failure>\n    </testcase>\n`;
  const skipped = severity === 'review' ? `      <skipped message="${message}"/>\n` : '';
  return `${head}>\n${skipped}      <system-out>${escapeText(`${summary}\n${details}`)}</system-out>\n    </testcase>\n`;
}
