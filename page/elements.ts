type Child = Node | string | undefined;
type Properties = Readonly<Record<string, string | boolean | (() => void)>>;

/**
 * Creates an element. Texts are added as text nodes, because nothing on this page may parse HTML (docs/adr/0075).
 * @param properties attributes, or functions that listen for the event of that name.
 */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') made.addEventListener(name, value);
    else if (typeof value === 'boolean') made.toggleAttribute(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** Returns an element of page.html. @throws Error if there is none with this id. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no #${id}`);
  return found;
}

export function inputById(id: string): HTMLInputElement {
  const found = byId(id);
  if (!(found instanceof HTMLInputElement)) throw new Error(`#${id} is not an input`);
  return found;
}

/** Returns a table whose first column contains texts and whose other columns contain numbers. */
export function figures(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): HTMLElement {
  const kind = (at: number): Properties => (at === 0 ? {} : { class: 'number' });
  return element(
    'table',
    {},
    element('caption', { class: 'unseen' }, caption),
    element(
      'thead',
      {},
      element('tr', {}, ...head.map((text, at) => element('th', { scope: 'col', ...kind(at) }, text))),
    ),
    element(
      'tbody',
      {},
      ...rows.map((row) => element('tr', {}, ...row.map((text, at) => element('td', kind(at), text)))),
    ),
  );
}

export function shownMs(ms: number | undefined): string {
  if (ms === undefined) return '-';
  return ms < 10 ? ms.toFixed(2) : ms.toFixed(0);
}
