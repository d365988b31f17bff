import type { ContainerEvent, PageCall, PageRun } from '../src/harness/html/page-data';
import { isFailed } from '../src/harness/show/shown-call';
import { AXIS, draw, firstEnding, nameOfState, spansOf, xOf, type View } from './drawing';
import { element, shownMs } from './elements';
import { endOf, LANE, rowsOf, type Row } from './rows';
import { panned, wholeRange, zoomed, type TimeRange } from './time-range';

/** How far the pointer may be from a bar, in pixels. */
const NEAR = 4;
const DRAG = 4;
const MAX_GUTTER = 200;
const ZOOM = 1.5;
/** How far an arrow key moves, as a share of the view. */
const PAN = 0.2;

export interface WaterfallEvents {
  /** Called when the user selects a call. `isOpened` is true if its messages are to be shown. */
  onSelected(call: PageCall, isOpened: boolean): void;
}

/** Shows the calls of one run over time. Only the rows and the time in view are drawn, so that a long run is drawn as fast as a short one. */
export class Waterfall {
  readonly element: HTMLElement;
  readonly #canvas = element('canvas');
  readonly #space = element('div', {});
  readonly #tip = element('div', { class: 'tip', hidden: true });
  #rows: readonly Row[] = [];
  #calls: readonly PageCall[] = [];
  #range: TimeRange;
  #selected: PageCall | undefined;
  #isDrawing = false;

  constructor(
    private readonly run: PageRun,
    private readonly events: WaterfallEvents,
  ) {
    this.#range = wholeRange(run.end);
    this.#space.append(this.#canvas);
    const label = `Calls of ${run.source} over time. N and P select the next and the previous call, Enter opens it.`;
    this.element = element(
      'div',
      { class: 'waterfall', tabindex: '0', role: 'application', 'aria-label': label },
      this.#space,
      this.#tip,
    );
    this.element.addEventListener('scroll', () => this.redraw());
    this.element.addEventListener('keydown', (event) => this.#onKey(event));
    this.element.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
    this.#canvas.addEventListener('pointerdown', (event) => this.#onDown(event));
    this.#canvas.addEventListener('pointermove', (event) => this.#onHover(event));
    this.#canvas.addEventListener('pointerleave', () => (this.#tip.hidden = true));
    this.#canvas.addEventListener('dblclick', (event) =>
      this.zoom(1 / ZOOM ** 2, this.#timeAt(event.offsetX)),
    );
    new ResizeObserver(() => this.redraw()).observe(this.element);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redraw());
  }

  get selected(): PageCall | undefined {
    return this.#selected;
  }

  show(calls: readonly PageCall[]): void {
    this.#calls = calls;
    this.#rows = rowsOf(this.run, calls);
    this.redraw();
  }

  /** Selects a call and moves it into view. */
  select(call: PageCall): void {
    this.#selected = call;
    const end = endOf(call, this.run.end);
    const { from, to } = this.#range;
    if (call.t > to || end < from) this.#range = panned(this.#range, call.t - (from + to) / 2, this.run.end);
    const row = this.#rows.find(({ lanes }) => lanes.some((lane) => lane.includes(call)));
    if (row !== undefined) {
      const { scrollTop } = this.element;
      const seen = this.element.clientHeight - AXIS;
      if (row.top < scrollTop) this.element.scrollTop = row.top;
      else if (row.top + row.height > scrollTop + seen)
        this.element.scrollTop = Math.min(row.top, row.top + row.height - seen);
    }
    this.redraw();
  }

  unselect(): void {
    this.#selected = undefined;
    this.redraw();
  }

  /** Zooms. @param at the time that keeps its position; by default the selected call if it is in view, and otherwise the middle. */
  zoom(factor: number, at?: number): void {
    const { from, to } = this.#range;
    const begin = this.#selected?.t ?? NaN;
    at ??= begin >= from && begin <= to ? begin : (from + to) / 2;
    this.#range = zoomed(this.#range, factor, at, this.run.end);
    this.redraw();
  }

  showAll(): void {
    this.#range = wholeRange(this.run.end);
    this.redraw();
  }

  /** Draws at the next frame. Further requests before this frame are merged. */
  redraw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#draw();
    });
  }

  #draw(): void {
    const last = this.#rows.at(-1);
    const { clientWidth: width, clientHeight: height } = this.element;
    this.#space.style.height = `${Math.max(AXIS + (last === undefined ? 0 : last.top + last.height), height)}px`;
    const ratio = devicePixelRatio;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    this.#canvas.style.width = `${width}px`;
    this.#canvas.style.height = `${height}px`;
    const context = this.#canvas.getContext('2d');
    if (context === null) return;
    context.scale(ratio, ratio);
    draw(context, this.#rows, this.#view());
  }

  #view(): View {
    const { clientWidth: width, clientHeight: height, scrollTop } = this.element;
    return {
      ...{ range: this.#range, width, height, scrollTop, end: this.run.end, selected: this.#selected },
      gutter: Math.min(MAX_GUTTER, width * 0.3),
    };
  }

  #timeAt(x: number): number {
    const { range, width, gutter } = this.#view();
    return range.from + ((x - gutter) / (width - gutter)) * (range.to - range.from);
  }

  // --- pointer events

  #onWheel(event: WheelEvent): void {
    const isZoom = event.ctrlKey || event.altKey;
    const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (!isZoom && Math.abs(across) <= Math.abs(event.shiftKey ? 0 : event.deltaY)) return;
    event.preventDefault();
    if (isZoom) this.zoom(event.deltaY > 0 ? ZOOM : 1 / ZOOM, this.#timeAt(event.offsetX));
    else this.#pan(across / this.element.clientWidth);
  }

  #onDown(down: PointerEvent): void {
    if (down.button !== 0) return;
    const [range, top] = [this.#range, this.element.scrollTop];
    let isDrag = false;
    const { width, gutter } = this.#view();
    const ended = new AbortController();
    this.#canvas.setPointerCapture(down.pointerId);
    const onMove = (move: PointerEvent): void => {
      const [x, y] = [move.clientX - down.clientX, move.clientY - down.clientY];
      isDrag ||= Math.hypot(x, y) > DRAG;
      if (!isDrag) return;
      this.#range = panned(range, (-x / (width - gutter)) * (range.to - range.from), this.run.end);
      this.element.scrollTop = top - y;
      this.redraw();
    };
    const onUp = (): void => {
      ended.abort();
      const hit = isDrag ? undefined : this.#callAt(down.offsetX, down.offsetY);
      if (hit !== undefined) this.#choose(hit, true);
    };
    this.#canvas.addEventListener('pointermove', onMove, { signal: ended.signal });
    this.#canvas.addEventListener('pointerup', onUp, { signal: ended.signal });
    this.#canvas.addEventListener('pointercancel', () => ended.abort(), { signal: ended.signal });
  }

  #onHover({ offsetX, offsetY, clientX, clientY, buttons }: PointerEvent): void {
    const text = buttons === 0 ? this.#textAt(offsetX, offsetY) : undefined;
    this.#tip.hidden = text === undefined;
    this.#tip.textContent = text ?? '';
    this.#canvas.style.cursor = text === undefined ? 'default' : 'pointer';
    this.#tip.style.left = `${Math.min(clientX + 12, innerWidth - this.#tip.offsetWidth - 8)}px`;
    this.#tip.style.top = `${Math.min(clientY + 14, innerHeight - this.#tip.offsetHeight - 8)}px`;
  }

  #rowAt(y: number): Row | undefined {
    const place = y - AXIS + this.element.scrollTop;
    return y < AXIS ? undefined : this.#rows.find(({ top, height }) => place >= top && place < top + height);
  }

  #callAt(x: number, y: number): PageCall | undefined {
    const row = this.#rowAt(y);
    if (row === undefined) return undefined;
    const view = this.#view();
    const lane = row.lanes[Math.floor((y - AXIS + view.scrollTop - row.top - 1) / LANE)] ?? [];
    const first = firstEnding(lane, this.#timeAt(x - NEAR), this.run.end);
    const away = (call: PageCall): number =>
      Math.max(xOf(call.t, view) - x, x - xOf(endOf(call, this.run.end), view), 0);
    const near: PageCall[] = [];
    for (const call of lane.slice(first, first + 50)) if (away(call) <= NEAR) near.push(call);
    return near.sort((one, other) => away(one) - away(other))[0];
  }

  #textAt(x: number, y: number): string | undefined {
    const call = this.#callAt(x, y);
    if (call !== undefined) return textOf(call);
    const row = this.#rowAt(y);
    if (row?.hasLife !== true) return undefined;
    const view = this.#view();
    if (y - AXIS + view.scrollTop - row.top < 2 + Math.max(1, row.lanes.length) * LANE - 3) return undefined;
    const event = row.events.find(({ t }) => Math.abs(xOf(t, view) - x) <= NEAR);
    if (event !== undefined) return textOfEvent(event);
    const at = this.#timeAt(x);
    const span = spansOf(row, this.run.end).find(({ change, to }) => change.t <= at && at <= to);
    if (span === undefined) return undefined;
    const { change } = span;
    const code = change.exit_code === undefined ? '' : `, exit code ${change.exit_code}`;
    const why = change.reason === undefined ? '' : `, ${change.reason}`;
    return `${nameOfState(change)} since ${change.t.toFixed(3)} s${code}${why}\nreported by an ${change.by}, call ${change.n}\n${change.id}`;
  }

  // --- keys

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const actions: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => this.#pan(-PAN),
      ArrowRight: () => this.#pan(PAN),
      Home: () => this.#pan(-Infinity),
      End: () => this.#pan(Infinity),
      n: () => this.#step(1, () => true),
      p: () => this.#step(-1, () => true),
      f: () => this.#step(1, ({ status }) => isFailed(status)),
      F: () => this.#step(-1, ({ status }) => isFailed(status)),
      Enter: () => this.#open(),
    };
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : undefined;
    if (action === undefined) return;
    event.preventDefault();
    action();
  }

  #pan(part: number): void {
    const { from, to } = this.#range;
    const most = 2 * (wholeRange(this.run.end).to - wholeRange(this.run.end).from);
    const by = Math.max(-most, Math.min(most, part * (to - from)));
    this.#range = panned(this.#range, by, this.run.end);
    this.redraw();
  }

  /** Selects the next or the previous call in time that fits. If no call is selected, selects the first or the last one that fits. */
  #step(by: 1 | -1, fits: (call: PageCall) => boolean): void {
    const from = this.#selected === undefined ? -1 : this.#calls.indexOf(this.#selected);
    const start = from < 0 && by < 0 ? this.#calls.length : from;
    for (let at = start + by; at >= 0 && at < this.#calls.length; at += by) {
      const call = this.#calls[at];
      if (call === undefined || !fits(call)) continue;
      this.#choose(call, false);
      return;
    }
  }

  #open(): void {
    if (this.#selected !== undefined) this.#choose(this.#selected, true);
  }

  #choose(call: PageCall, isOpened: boolean): void {
    this.select(call);
    this.events.onSelected(call, isOpened);
  }
}

/** Returns a short description of a call. */
export function textOf(call: PageCall): string {
  const { method, pod, container, status, ms, t, faults, by, details } = call;
  const about = [pod, container].filter((name) => name !== undefined).join(' / ');
  return [
    `${method}: ${status}${ms === undefined ? '' : `, ${shownMs(ms)} ms`}`,
    about === '' ? undefined : about,
    `at ${t.toFixed(3)} s`,
    faults.length === 0 ? undefined : `injected: ${faults.join(', ')}`,
    by === undefined ? undefined : `ended by the ${by}`,
    details,
  ]
    .filter((line) => line !== undefined)
    .join('\n');
}

function textOfEvent({ type, t, n, id }: ContainerEvent): string {
  return `event: ${type} at ${t.toFixed(3)} s, call ${n}\n${id}`;
}
