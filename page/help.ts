import { element } from './elements';

const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ['/', 'search'],
  ['n p', 'select the next or the previous call in time'],
  ['f F', 'select the next or the previous failed call'],
  ['Enter', 'open the selected call'],
  ['Escape', 'close the selected call'],
  ['+ -', 'zoom in or out; also Ctrl or Alt with the wheel, and a double-click to zoom in'],
  ['0', 'show the whole recording'],
  ['← →', 'move back or forward in time; also dragging, and Shift with the wheel'],
  ['Home End', 'go to the beginning or the end'],
  ['↑ ↓ PageUp PageDown', 'move through the rows'],
  ['?', 'show the keys and the marks'],
];
const MARKS: readonly (readonly [mark: string, what: string])[] = [
  ['✕', 'a call that failed'],
  ['◆', 'a call with an injected fault'],
  ['open', 'a call whose end is not on the tape; its bar has no right side'],
  ['▾', 'an event of GetContainerEvents'],
  ['box', 'below the calls: an empty box means created, and a filled box means running or ready'],
  ['dashes', 'below the calls: exited or not ready; the number is the exit code'],
  ['×', 'removed'],
];

/** Fills the dialog with the keys and the marks. */
export function help(dialog: HTMLElement): void {
  const close = element('button', { type: 'submit', autofocus: true }, 'Close');
  dialog.append(
    element('h2', { id: 'help-title' }, 'Keys, while the waterfall has the focus'),
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
