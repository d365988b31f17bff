import type { PageCall, PageRun } from '../src/harness/html/page-data';
import { isFailed } from '../src/harness/show/shown-call';
import { counted } from '../src/lib/counted';
import { element, shownMs } from './elements';
import type { Payload, PayloadLine } from './payload';

/** How many characters of a message, and how many messages, are shown at first. Buttons show the rest. */
const MOST_TEXT = 100_000;
const MOST_MESSAGES = 100;

/** Returns the details of a call with its messages. @param onClose is called by the Close button. */
export function callDetails(
  call: PageCall,
  run: PageRun,
  payload: Payload,
  onClose: () => void,
): HTMLElement {
  const lines = payload.linesOf(call);
  const begin = lines.find(({ request, metadata }) => request !== undefined || metadata !== undefined);
  const end = lines.find(({ response }) => response !== undefined);
  const messages = lines.filter(({ message }) => message !== undefined);
  return element(
    'section',
    { class: 'call' },
    element(
      'header',
      {},
      element('h2', {}, call.method),
      element(
        'button',
        { type: 'button', 'aria-label': 'Close', title: 'Close (Escape)', click: onClose },
        '✕',
      ),
    ),
    facts(call, run, lines),
    ...section('Request', begin?.request),
    ...section('Answer', end?.response),
    ...(messages.length === 0 ? [] : [element('h3', {}, `Messages (${messages.length})`), listOf(messages)]),
  );
}

function facts(call: PageCall, run: PageRun, lines: readonly PayloadLine[]): HTMLElement {
  const { n, t, ms, deadline_ms: deadline, status, by, details, api, pod, container, faults } = call;
  const metadata = lines.find((line) => line.metadata !== undefined)?.metadata ?? {};
  const binary = lines.find((line) => line.details_bin !== undefined)?.details_bin;
  const injected = lines.flatMap(({ fault, rule }) =>
    fault === undefined ? [] : [`${fault}, by faults[${rule ?? '?'}]`],
  );
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Status', isFailed(status) ? `✕ ${status}` : status],
    ['Ended by', by === undefined ? undefined : `the ${by}`],
    ['Details', details],
    ['Details, binary', binary],
    ['Injected', (injected.length > 0 ? injected : faults).join('; ') || undefined],
    ['Took', ms === undefined ? 'its end is not on the tape' : `${shownMs(ms)} ms`],
    ['Deadline', deadline === undefined ? undefined : `${shownMs(deadline)} ms`],
    ['Began', `${t.toFixed(6)} s${wallTime(run, t)}`],
    ['Pod', pod],
    ['Container', container],
    ['API', api],
    ['Call', `${n}`],
    ...Object.entries(metadata).map(([name, value]) => [`Metadata ${name}`, value] as const),
  ];
  return element(
    'dl',
    {},
    ...rows.flatMap(([name, value]) =>
      value === undefined
        ? []
        : [
            element('dt', {}, name),
            element('dd', name === 'Status' && isFailed(status) ? { class: 'failed' } : {}, value),
          ],
    ),
  );
}

function wallTime({ recorded }: PageRun, t: number): string {
  const begin = recorded === undefined ? NaN : Date.parse(recorded);
  return Number.isNaN(begin) ? '' : `, ${new Date(begin + t * 1000).toISOString()}`;
}

function section(title: string, message: unknown): HTMLElement[] {
  return message === undefined ? [] : [element('h3', {}, title), pretty(message)];
}

function listOf(messages: readonly PayloadLine[]): HTMLElement {
  const list = element('div');
  const add = (from: number): void => {
    for (const { t, message } of messages.slice(from, from + MOST_MESSAGES)) {
      const one = element(
        'details',
        {},
        element('summary', {}, `at ${t.toFixed(3)} s: ${summaryOf(message)}`),
      );
      one.addEventListener('toggle', () => one.append(pretty(message)), { once: true });
      list.append(one);
    }
    const left = messages.length - from - MOST_MESSAGES;
    if (left > 0) list.append(more(counted(left, 'more message'), () => add(from + MOST_MESSAGES)));
  };
  add(0);
  return list;
}

/** Returns the beginning of a message. */
function summaryOf(message: unknown): string {
  const text = JSON.stringify(message);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function pretty(message: unknown): HTMLElement {
  const text = JSON.stringify(message, null, 2);
  const shown = element('pre', { tabindex: '0' }, text.slice(0, MOST_TEXT));
  if (text.length > MOST_TEXT)
    shown.append(more(`all ${text.length} characters`, () => (shown.textContent = text)));
  return shown;
}

/** Returns a button that disappears when it is clicked. */
export function more(what: string, onMore: () => void): HTMLElement {
  const button = element('button', { type: 'button' }, `Show ${what}`);
  button.addEventListener('click', () => {
    button.remove();
    onMore();
  });
  return button;
}
