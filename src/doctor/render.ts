import type { DoctorReport, Line } from './report';

/** The report for people: a line for each finding, what to do below it, a sentence. */
export function renderDoctorReport({ checks, summary }: DoctorReport): string {
  const width = Math.max(...checks.map(({ check }) => check.length));
  return `${checks.map((line) => render(line, width)).join('')}\n${sentence(summary)}\n`;
}

function render({ level, check, found, cure, link }: Line, width: number): string {
  const indent = ' '.repeat('warn  '.length + width + 2);
  const below = [
    ...(cure === '' ? [] : cure.split('\n').map((text, at) => `${at === 0 ? '→ ' : '  '}${text}`)),
    ...(level === 'ok' ? [] : [`  ${link}`]),
  ];
  return `${level.padEnd(6)}${check.padEnd(width)}  ${found}\n${below.map((text) => `${indent}${text}\n`).join('')}`;
}

function sentence({ ok, warn, fail }: DoctorReport['summary']): string {
  if (fail > 0)
    return `Something does not work: ${fail} failures, ${warn} warnings, ${ok} as they should be.`;
  if (warn > 0) return `It works, and will hurt: ${warn} warnings, ${ok} as they should be.`;
  return `All ${ok} are as they should be.`;
}
