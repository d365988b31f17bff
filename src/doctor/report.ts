/** `warn` means that it works but will cause trouble, `fail` that it does not work. */
export type Level = 'ok' | 'warn' | 'fail';

/** What a check found; one check may find several things. */
export interface Finding {
  readonly level: Level;
  readonly found: string;
  /** What to do; '' where nothing is to be done. May have several lines. */
  readonly cure: string;
}

/** A line of the report. */
export interface Line extends Finding {
  readonly check: string;
  /** Where symptom, cause and cure are explained. */
  readonly link: string;
}

/** `-o json` prints this. */
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

/** 0: all is well; 1: warnings; 2: something does not work. */
export function exitCodeOf({ summary }: DoctorReport): 0 | 1 | 2 {
  if (summary.fail > 0) return 2;
  return summary.warn > 0 ? 1 : 0;
}

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
  if (warn > 0) return `It works, but will cause trouble: ${warn} warnings, ${ok} as they should be.`;
  return `All ${ok} are as they should be.`;
}
