import { escapeAttribute as attribute, escapeComment as comment, escapeText as text } from '../../lib/markup';
import type { ComparedCall, Comparison, Difference } from '../compare/comparison';
import { idleRules, shownValue, sideText, sumOf, titleOf } from './phrases';

const TOOL = 'dockbridge cri diff';

/**
 * Returns a JUnit report for CI systems, with a suite for each method and a case for each compared call. If rules allow all differences of
 * a case, the case is marked as skipped, with the rules' reasons. The time of a case is that of B, in seconds.
 */
export function renderJunit(comparison: Comparison): string {
  const { a, b, calls } = comparison;
  const suites = new Map<string, ComparedCall[]>();
  for (const call of calls) {
    const known = suites.get(call.method);
    if (known === undefined) suites.set(call.method, [call]);
    else known.push(call);
  }
  const properties = [
    ...sideProperties('a', a),
    ...sideProperties('b', b),
    ...idleRules(comparison).map((value) => ['rule that was not needed', value] as const),
  ];
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    `<testsuites name="${TOOL}"${counts(calls)}>\n`,
    ...[...suites].map(([method, of]) => suite(method, of, properties)),
    `</testsuites>\n`,
    `<!-- ${comment(`${sideText(a)} and ${sideText(b)}: ${sumOf(comparison)}`)} -->\n`,
  ].join('');
}

type Properties = readonly (readonly [name: string, value: string])[];

function sideProperties(side: string, { source, runtime }: Comparison['a']): Properties {
  return [
    [`${side}.source`, source],
    [`${side}.runtime_name`, runtime.name],
    [`${side}.runtime_version`, runtime.version],
  ];
}

function suite(method: string, calls: readonly ComparedCall[], properties: Properties): string {
  return [
    `  <testsuite name="${attribute(method)}"${counts(calls)}>\n`,
    '    <properties>\n',
    ...properties.map(
      ([name, value]) => `      <property name="${attribute(name)}" value="${attribute(value)}"/>\n`,
    ),
    '    </properties>\n',
    ...calls.map((call) => testCase(call)),
    '  </testsuite>\n',
  ].join('');
}

function counts(calls: readonly ComparedCall[]): string {
  const failures = calls.filter(isFailed).length;
  const skipped = calls.filter(isSkipped).length;
  const time = calls.reduce((sum, call) => sum + secondsOf(call), 0);
  return ` tests="${calls.length}" failures="${failures}" errors="0" skipped="${skipped}" time="${time.toFixed(3)}"`;
}

function isFailed({ differences }: ComparedCall): boolean {
  return differences.length > 0;
}

function isSkipped(call: ComparedCall): boolean {
  return !isFailed(call) && call.allowed.length > 0;
}

function secondsOf({ b }: ComparedCall): number {
  return (b?.ms ?? 0) / 1000;
}

function testCase(call: ComparedCall): string {
  const head = `    <testcase classname="${attribute(call.method)}" name="${attribute(titleOf(call))}" time="${secondsOf(call).toFixed(3)}"`;
  const body = [...failureOf(call), ...skippedOf(call), ...notesOf(call)];
  return body.length === 0 ? `${head}/>\n` : `${head}>\n${body.join('')}    </testcase>\n`;
}

function failureOf({ differences }: ComparedCall): readonly string[] {
  const [first] = differences;
  if (first === undefined) return [];
  const more = differences.length === 1 ? '' : `, and ${differences.length - 1} more`;
  const message = `${first.path}: ${first.why}${more}`;
  return [
    `      <failure type="difference" message="${attribute(message)}">${text(differences.map(differenceText).join('\n'))}</failure>\n`,
  ];
}

function differenceText({ path, a, b, why, near }: Difference): string {
  return [
    `${path}: ${why}`,
    `A: ${shownValue(a)}`,
    `B: ${shownValue(b)}`,
    ...(near === undefined ? [] : [`${near.rule} ${near.why}`]),
    '',
  ].join('\n');
}

function skippedOf(call: ComparedCall): readonly string[] {
  if (!isSkipped(call)) return [];
  const reasons = [...new Set(call.allowed.map(({ path, because }) => `${path}: ${because}`))];
  return [`      <skipped message="${attribute(reasons.join('; '))}"/>\n`];
}

function notesOf({ notes }: ComparedCall): readonly string[] {
  return notes.length === 0 ? [] : [`      <system-out>${text(notes.join('\n'))}</system-out>\n`];
}
