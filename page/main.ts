import type { PageCall, PageData, PageDifference, PageRun } from '../src/harness/html/page-data';
import { latencies } from '../src/harness/show/latency';
import { lostLines } from '../src/harness/tape/lost-lines';
import { counted } from '../src/lib/counted';
import { chosen, type Choice } from './choice';
import { callDetails } from './details';
import { differencesTable } from './differences';
import { byId, element, figures, inputById, shownMs } from './elements';
import { help } from './help';
import { Payload } from './payload';
import { textOf, Waterfall } from './waterfall';

/** The time from the last key press to the beginning of a search, in milliseconds. */
const TYPING = 150;
const ZOOM = 1.5;

interface Shown {
  readonly run: PageRun;
  readonly payload: Payload;
  readonly waterfall: Waterfall;
}

class Page {
  readonly #runs: readonly Shown[];
  /** The open call of each run. */
  readonly #open: (PageCall | undefined)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly data: PageData) {
    this.#runs = data.runs.map((run, at) => ({
      run,
      payload: new Payload(blocksOf(at)),
      waterfall: new Waterfall(run, {
        onSelected: (call, isOpened) => {
          byId('said').textContent = textOf(call);
          if (isOpened) this.#openCalls(at, call);
        },
      }),
    }));
  }

  start(): void {
    const { runs, differences } = this.data;
    const title = `CRI calls: ${runs.map(({ source }) => source).join(' and ')}`;
    document.title = title;
    byId('title').textContent = runs.length === 1 ? `${title}${describe(runs[0])}` : title;
    for (const { run, waterfall } of this.#runs) byId('runs').append(this.#frame(run, waterfall.element));
    this.#suggest('methods', (call) => call.method);
    this.#suggest('pods', (call) => call.pod);
    if (runs.length > 1) {
      byId('differences').hidden = false;
      const name = this.#nameOf.bind(this);
      const open = this.#openDifference.bind(this);
      byId('differences').append(
        differences.length === 0
          ? element('p', {}, 'The two runs do not differ.')
          : differencesTable(differences, name, open),
      );
    }
    help(byId('help'));
    this.#listen();
    this.#show();
  }

  #listen(): void {
    const form = byId('filters');
    form.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#show(), TYPING);
    });
    form.addEventListener('submit', (event) => event.preventDefault());
    // The browser clears the fields after this event, so the page is updated later.
    form.addEventListener('reset', () => setTimeout(() => this.#show()));
    for (const button of document.querySelectorAll<HTMLButtonElement>('[data-do]'))
      button.addEventListener('click', () => this.#do(button.dataset.do ?? ''));
    document.addEventListener('keydown', (event) => this.#onKey(event));
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === 'Escape' && !(byId('help') as HTMLDialogElement).open) this.#close();
    if (event.target instanceof HTMLInputElement) return;
    const what = { '/': 'search', '?': 'help', '+': 'in', '=': 'in', '-': 'out', '0': 'all' }[event.key];
    if (what === undefined) return;
    event.preventDefault();
    this.#do(what);
  }

  #do(what: string): void {
    if (what === 'search') byId('search').focus();
    if (what === 'help') (byId('help') as HTMLDialogElement).showModal();
    for (const { waterfall } of this.#runs) {
      if (what === 'in') waterfall.zoom(1 / ZOOM);
      if (what === 'out') waterfall.zoom(ZOOM);
      if (what === 'all') waterfall.showAll();
    }
  }

  /** Shows the calls that pass the filters. */
  #show(): void {
    const choice: Choice = {
      search: inputById('search').value,
      method: inputById('method').value,
      pod: inputById('pod').value,
      slow: inputById('slow').value,
      failed: inputById('failed').checked,
    };
    let [count, all] = [0, 0];
    const tables = this.#runs.map(({ run, payload, waterfall }) => {
      const calls = chosen(run, payload, choice);
      count += calls.length;
      all += run.calls.length;
      waterfall.show(calls);
      return latencyTable(run, calls);
    });
    byId('tables').replaceChildren(...tables);
    byId('count').textContent = (count === all ? '' : `${count} of `) + counted(all, 'call');
  }

  /** Opens a call. If a difference names it, also opens the call of the other run with which it was compared. */
  #openCalls(at: number, call: PageCall): void {
    const [mine, theirs] = at === 0 ? (['a', 'b'] as const) : (['b', 'a'] as const);
    const pair = this.data.differences.find((one) => one.call[mine] === call.n)?.call[theirs];
    this.#open[at] = call;
    if (this.#runs.length > 1) this.#open[1 - at] = this.#callOf(1 - at, pair);
    this.#showOpen();
    byId('details').focus({ preventScroll: true });
  }

  #openDifference({ call }: PageDifference): void {
    this.#open[0] = this.#callOf(0, call.a);
    this.#open[1] = this.#callOf(1, call.b);
    this.#showOpen();
    byId('details').focus({ preventScroll: true });
  }

  #showOpen(): void {
    const panel = byId('details');
    const close = this.#close.bind(this);
    panel.replaceChildren(
      ...this.#runs.flatMap(({ run, payload, waterfall }, at) => {
        const call = this.#open[at];
        if (call === undefined) waterfall.unselect();
        else waterfall.select(call);
        return call === undefined ? [] : [callDetails(call, run, payload, close)];
      }),
    );
    panel.hidden = panel.childElementCount === 0;
    panel.scrollTop = 0;
  }

  #close(): void {
    const panel = byId('details');
    if (panel.hidden) return;
    panel.hidden = true;
    const at = this.#open.findIndex((call) => call !== undefined);
    this.#open.length = 0;
    this.#runs[Math.max(at, 0)]?.waterfall.element.focus();
  }

  #callOf(at: number, n: number | undefined): PageCall | undefined {
    return n === undefined ? undefined : this.#runs[at]?.run.calls.find((call) => call.n === n);
  }

  #nameOf({ call }: PageDifference): string {
    const one = this.#callOf(0, call.a) ?? this.#callOf(1, call.b);
    return one === undefined
      ? 'a call'
      : `${one.method} ${[one.pod, one.container].filter(Boolean).join(' / ')}`;
  }

  #frame(run: PageRun, waterfall: HTMLElement): HTMLElement {
    const told = [
      ...(run.lost === 0 ? [] : [lostLines(run.lost)]),
      ...run.problems.slice(0, 3),
      ...(run.problems.length > 3 ? [`${counted(run.problems.length - 3, 'more problem')} like these`] : []),
    ];
    return element(
      'section',
      { class: 'run', 'aria-label': run.source },
      this.data.runs.length > 1 ? element('h2', {}, `${run.source}${describe(run)}`) : undefined,
      told.length === 0 ? undefined : element('p', { class: 'told' }, told.join('; ')),
      waterfall,
    );
  }

  #suggest(id: string, nameOf: (call: PageCall) => string | undefined): void {
    const names = new Set(this.data.runs.flatMap(({ calls }) => calls.map(nameOf)));
    byId(id).append(
      ...[...names].flatMap((name) => (name === undefined ? [] : [element('option', { value: name })])),
    );
  }
}

function describe(run: PageRun | undefined): string {
  if (run === undefined) return '';
  const runtime = `${run.runtime.name} ${run.runtime.version}`.trim();
  return [runtime, run.endpoint, run.recorded]
    .flatMap((part) => (part === undefined || part === '' ? [] : [`, ${part}`]))
    .join('');
}

function latencyTable(run: PageRun, calls: readonly PageCall[]): HTMLElement {
  return figures(
    `Latency by method, ${run.source}`,
    ['Method', 'Calls', 'Failed', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms'],
    latencies(calls).map(({ method, calls: count, failed, p50, p90, p99, max }) => [
      ...[method, String(count), String(failed)],
      ...[p50, p90, p99, max].map(shownMs),
    ]),
  );
}

function blocksOf(at: number): { readonly first: number; text(): string }[] {
  return [...document.querySelectorAll<HTMLElement>(`script[data-run="${at}"]`)].map((block) => ({
    first: Number(block.dataset.first),
    text: () => block.textContent,
  }));
}

new Page(JSON.parse(byId('index').textContent) as PageData).start();
