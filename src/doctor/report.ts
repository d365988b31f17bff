import { counted } from '../lib/counted';

/** `warn` means that it works but will cause trouble, `fail` that it does not work. */
export type Level = 'ok' | 'warn' | 'fail';

/** A finding of a check. One check may have several findings. */
export interface Finding {
  readonly level: Level;
  readonly found: string;
  /** What to do; '' when nothing has to be done. May have several lines. */
  readonly cure: string;
}

/** A line of the report. */
export interface Line extends Finding {
  readonly check: string;
  /** The page that explains symptom, cause and cure. */
  readonly link: string;
}

/** The report, which `-o json` prints in this form. */
export interface DoctorReport {
  readonly version: string;
  readonly checks: readonly Line[];
  readonly summary: { readonly ok: number; readonly warn: number; readonly fail: number };
}

export const ok = (found: string, cure = ''): Finding => ({ level: 'ok', found, cure });
export const warn = (found: string, cure: string): Finding => ({ level: 'warn', found, cure });
export const fail = (found: string, cure: string): Finding => ({ level: 'fail', found, cure });

export function reportOf(version: string, checks: readonly Line[]): DoctorReport {
  const count = (level: Level): number => checks.filter((line) => line.level === level).length;
  return { version, checks, summary: { ok: count('ok'), warn: count('warn'), fail: count('fail') } };
}

/** Returns the exit code: 0 for no warnings; 1 for warnings; 2 if something does not work. */
export function exitCodeOf({ summary }: DoctorReport): 0 | 1 | 2 {
  if (summary.fail > 0) return 2;
  return summary.warn > 0 ? 1 : 0;
}

/** Renders the report for people: a line for each finding with the remedy below it, and a conclusion. */
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
    return `Something does not work: ${counted(fail, 'failure')}, ${counted(warn, 'warning')}, ${ok} ok.`;
  if (warn > 0) return `The node works, but problems are likely: ${counted(warn, 'warning')}, ${ok} ok.`;
  return `No problems found: ${ok} ok.`;
}
