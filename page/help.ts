import { element } from './elements';

const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ['/', 'search'],
  ['n p', 'select the next or the previous call by time'],
  ['f F', 'select the next or the previous call that failed'],
  ['Enter', 'open the selected call'],
  ['Escape', 'close it'],
  ['+ -', 'zoom in or out; so does the wheel with Ctrl or Alt, and a double click'],
  ['0', 'show all of the time'],
  ['← →', 'move in time; so does dragging, and the wheel with Shift'],
  ['Home End', 'go to the begin or the end'],
  ['↑ ↓ PageUp PageDown', 'move through the rows'],
  ['?', 'show this'],
];
const MARKS: readonly (readonly [mark: string, what: string])[] = [
  ['✕', 'a call that failed'],
  ['◆', 'a call with an injected fault'],
  ['open', 'a call whose end is not in the tape; its bar has no right side'],
  ['▾', 'an event of GetContainerEvents'],
  ['box', 'under the calls: created if it is empty, running or ready if it is filled'],
  ['dashes', 'under the calls: exited, or not ready; the number is the exit code'],
  ['×', 'removed'],
];

/** Fills the dialog. */
export function help(dialog: HTMLElement): void {
  const close = element('button', { type: 'submit', autofocus: true }, 'Close');
  dialog.append(
    element('h2', { id: 'help-title' }, 'Keys, when the waterfall has the focus'),
    list(KEYS),
    element('h2', {}, 'Marks'),
    list(MARKS),
    element('form', { method: 'dialog' }, close),
  );
}

function list(rows: readonly (readonly [string, string])[]): HTMLElement {
  return element(
    'dl',
    {},
    ...rows.flatMap(([keys, what]) => [
      element('dt', {}, ...keys.split(' ').flatMap((key) => [element('kbd', {}, key), ' '])),
      element('dd', {}, what),
    ]),
  );
}
