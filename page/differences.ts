import type { PageDifference } from '../src/harness/html/page-data';
import { counted } from '../src/lib/counted';
import { more } from './details';
import { element } from './elements';

const MOST_ROWS = 500;

/** Returns a table of differences. Those that rules allow come last. @param onOpen shows the two calls of a difference. */
export function differencesTable(
  differences: readonly PageDifference[],
  nameOf: (difference: PageDifference) => string,
  onOpen: (difference: PageDifference) => void,
): HTMLElement {
  const sorted = [
    ...differences.filter(({ verdict }) => verdict === 'differs'),
    ...differences.filter(({ verdict }) => verdict === 'allowed'),
  ];
  const body = element('tbody');
  const host = element('div', {}, table(body));
  const add = (from: number): void => {
    for (const difference of sorted.slice(from, from + MOST_ROWS)) {
      const { path, a, b, verdict, because = '' } = difference;
      const open = element('button', { type: 'button', click: () => onOpen(difference) }, nameOf(difference));
      const sign = verdict === 'differs' ? '✕ differs' : 'allowed';
      body.append(
        element(
          'tr',
          {},
          element('td', verdict === 'differs' ? { class: 'failed' } : {}, sign),
          element('td', {}, open),
          ...[path, textOf(a), textOf(b), because].map((text) => element('td', {}, text)),
        ),
      );
    }
    const left = sorted.length - from - MOST_ROWS;
    if (left > 0) host.append(more(counted(left, 'more difference'), () => add(from + MOST_ROWS)));
  };
  add(0);
  return host;
}

function table(body: HTMLElement): HTMLElement {
  const head = ['Verdict', 'Call', 'Field', 'First run', 'Second run', 'Why'];
  return element(
    'table',
    {},
    element('thead', {}, element('tr', {}, ...head.map((text) => element('th', { scope: 'col' }, text)))),
    body,
  );
}

function textOf(value: unknown): string {
  return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
}
