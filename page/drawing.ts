import type { ContainerEvent, PageCall, StateChange } from '../src/harness/html/page-data';
import { isFailed, OPEN } from '../src/harness/show/shown-call';
import { endOf, LANE, LIFE, type Row } from './rows';
import { marks, type TimeRange } from './time-range';

export const AXIS = 24;
const BAR = 10;
/** The height of a state's box. */
const BOX = 12;
const SHORTEST_BAR = 3;
/** The distance between two marks on the axis, in pixels. */
const MARK_DISTANCE = 110;
const FONT = '12px system-ui, sans-serif';
const SMALL = '10px system-ui, sans-serif';

/** The part of the run that is in view. Lengths are in CSS pixels. */
export interface View {
  readonly range: TimeRange;
  readonly scrollTop: number;
  readonly width: number;
  readonly height: number;
  /** The width of the column of names on the left. */
  readonly gutter: number;
  /** The end of the run, in seconds. */
  readonly end: number;
  readonly selected: PageCall | undefined;
}

/** One state of a sandbox or container, from its first report to that of the next state. */
export interface Span {
  readonly change: StateChange;
  readonly to: number;
}

export function xOf(t: number, { range: { from, to }, width, gutter }: View): number {
  return gutter + ((t - from) / (to - from)) * (width - gutter);
}

/** Draws only what is in view. */
export function draw(canvas: CanvasRenderingContext2D, rows: readonly Row[], view: View): void {
  new Drawing(canvas, view).all(rows);
}

/** Returns the time span of each state. A span ends at the next state of the same id, or at the end of the run. A removal has no duration. */
export function spansOf({ states }: Row, end: number): readonly Span[] {
  const open = new Map<string, number>();
  const spans: { change: StateChange; to: number }[] = [];
  for (const change of states) {
    const before = spans[open.get(change.id) ?? -1];
    if (before !== undefined) before.to = change.t;
    open.set(change.id, spans.length);
    spans.push({ change, to: change.state === 'removed' ? change.t : end });
  }
  return spans;
}

/** Returns the index of the first call of a lane that ends at `t` or later. The ends are in order, because calls of a lane do not overlap. */
export function firstEnding(lane: readonly PageCall[], t: number, end: number): number {
  let [low, high] = [0, lane.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const call = lane[middle];
    if (call !== undefined && endOf(call, end) < t) low = middle + 1;
    else high = middle;
  }
  return low;
}

class Drawing {
  readonly #style = getComputedStyle(document.documentElement);
  readonly #isDark = matchMedia('(prefers-color-scheme: dark)').matches;
  readonly #colours = new Map<string, string>();

  constructor(
    private readonly canvas: CanvasRenderingContext2D,
    private readonly view: View,
  ) {}

  all(rows: readonly Row[]): void {
    const { canvas, view } = this;
    canvas.fillStyle = this.#colour('back');
    canvas.fillRect(0, 0, view.width, view.height);
    canvas.textBaseline = 'middle';
    const ticks = marks(view.range, view.width - view.gutter, MARK_DISTANCE);
    this.#lines(ticks.map(({ t }) => xOf(t, view)));
    for (const row of rows) {
      const top = row.top - view.scrollTop + AXIS;
      if (top > view.height) break;
      if (top + row.height >= AXIS) this.#row(row, top);
    }
    this.#axis(ticks);
  }

  #lines(places: readonly number[]): void {
    this.canvas.fillStyle = this.#colour('line');
    for (const x of places)
      if (x >= this.view.gutter) this.canvas.fillRect(Math.round(x), 0, 1, this.view.height);
  }

  #axis(ticks: readonly { readonly t: number; readonly label: string }[]): void {
    const { canvas, view } = this;
    canvas.fillStyle = this.#colour('panel');
    canvas.fillRect(0, 0, view.width, AXIS);
    canvas.fillStyle = this.#colour('text');
    canvas.font = FONT;
    for (const { t, label } of ticks) {
      const x = xOf(t, view);
      if (x >= view.gutter) canvas.fillText(label, x + 3, AXIS / 2);
    }
    canvas.fillStyle = this.#colour('line');
    canvas.fillRect(0, AXIS - 1, view.width, 1);
  }

  #row(row: Row, top: number): void {
    const { canvas, view } = this;
    if (row.isHeading) {
      canvas.fillStyle = this.#colour('panel');
      canvas.fillRect(0, top, view.width, row.height);
      this.#text(row.label, 8, top + row.height / 2, view.width - 16, `600 ${FONT}`, 'text');
      return;
    }
    canvas.fillStyle = this.#colour('line');
    canvas.fillRect(0, top + row.height - 1, view.width, 1);
    this.#text(row.label, 20, top + LANE / 2 + 2, view.gutter - 26, FONT, 'text');
    this.#inPlot(() => {
      for (const [at, lane] of row.lanes.entries()) this.#lane(lane, top + 2 + at * LANE, row.hasLife);
      if (row.hasLife) this.#life(row, top + 2 + Math.max(1, row.lanes.length) * LANE);
    });
  }

  /** Runs `drawn`, and clips its drawing at the left edge of the time axis. */
  #inPlot(drawn: () => void): void {
    const { canvas, view } = this;
    canvas.save();
    canvas.beginPath();
    canvas.rect(view.gutter, 0, view.width - view.gutter, view.height);
    canvas.clip();
    drawn();
    canvas.restore();
  }

  #lane(lane: readonly PageCall[], top: number, hasNames: boolean): void {
    const { view } = this;
    let covered = -Infinity;
    for (let at = firstEnding(lane, view.range.from, view.end); at < lane.length; at++) {
      const call = lane[at];
      if (call === undefined || call.t > view.range.to) break;
      const left = xOf(call.t, view);
      const right = Math.max(xOf(endOf(call, view.end), view), left + SHORTEST_BAR);
      const isPlain = !isFailed(call.status) && call.faults.length === 0 && call !== view.selected;
      // A bar on pixels that are already covered would not be visible.
      if (isPlain && right <= covered) continue;
      const next = lane[at + 1];
      const room = next === undefined ? view.width : xOf(next.t, view);
      this.#bar(call, { left, right, top, room: hasNames ? room : left });
      covered = Math.max(covered, right);
    }
  }

  /** Draws a bar. `room` is the beginning of the next bar, at which the name must end. */
  #bar(
    call: PageCall,
    { left, right, top, room }: Readonly<Record<'left' | 'right' | 'top' | 'room', number>>,
  ): void {
    const { canvas } = this;
    const failed = isFailed(call.status);
    const colour = failed ? 'failed' : call.status === OPEN ? 'open' : 'call';
    if (call === this.view.selected) {
      canvas.fillStyle = this.#colour('selected');
      canvas.fillRect(left - 4, top - 2, right - left + 8, BAR + 4);
      canvas.strokeStyle = this.#colour('focus');
      canvas.lineWidth = 2;
      canvas.strokeRect(left - 4, top - 2, right - left + 8, BAR + 4);
    }
    canvas.fillStyle = this.#colour(colour);
    if (call.status === OPEN) this.#openBar(left, right, top);
    else canvas.fillRect(left, top, right - left, BAR);
    let after = right + 3;
    if (failed) after = this.#sign('✕', after, top, 'failed', room);
    if (call.faults.length > 0) after = this.#sign('◆', after, top, 'fault', room);
    if (call.status === OPEN) {
      // The word is drawn over the dashes near the right edge.
      const x = Math.min(right, this.view.width) - 30;
      canvas.fillStyle = this.#colour('back');
      canvas.fillRect(x - 3, top - 1, 30, BAR + 2);
      this.#sign('open', x, top, 'open', room);
      after = Infinity;
    }
    const inside = Math.min(right, this.view.width) - Math.max(left, this.view.gutter);
    canvas.font = SMALL;
    const width = canvas.measureText(call.method).width;
    if (width + 8 <= inside && room > left)
      this.#text(
        call.method,
        Math.max(left, this.view.gutter) + 4,
        top + BAR / 2 + 0.5,
        inside,
        SMALL,
        call.status === OPEN ? 'text' : 'back',
      );
    else if (after + width < room)
      this.#text(call.method, after, top + BAR / 2 + 0.5, width + 1, SMALL, 'faint');
  }

  /** Draws a bar without a right side, because the end of the call is not known. */
  #openBar(left: number, right: number, top: number): void {
    const { canvas } = this;
    canvas.strokeStyle = this.#colour('open');
    canvas.lineWidth = 2;
    canvas.setLineDash([6, 3]);
    canvas.beginPath();
    canvas.moveTo(right, top + 1);
    canvas.lineTo(left + 1, top + 1);
    canvas.lineTo(left + 1, top + BAR - 1);
    canvas.lineTo(right, top + BAR - 1);
    canvas.stroke();
    canvas.setLineDash([]);
  }

  /** Draws a mark, so that the meaning does not depend on colour alone. @returns the position after it. */
  #sign(sign: string, x: number, top: number, colour: string, room: number): number {
    this.canvas.font = SMALL;
    const width = this.canvas.measureText(sign).width;
    this.#text(sign, x, top + BAR / 2 + 0.5, width + 1, SMALL, colour);
    return Math.max(x + width + 3, Math.min(x, room));
  }

  #life(row: Row, top: number): void {
    for (const span of spansOf(row, this.view.end)) this.#span(span, top);
    for (const event of row.events) this.#event(event, top);
  }

  #span({ change, to }: Span, top: number): void {
    const { canvas, view } = this;
    const [left, right] = [xOf(change.t, view), xOf(to, view)];
    if (right < view.gutter || left > view.width) return;
    const { state, exit_code: code } = change;
    if (state === 'removed') {
      this.#text('×', left - 3, top + BOX / 2, 20, FONT, 'text');
      return;
    }
    const colour = this.#colour(state);
    canvas.lineWidth = 1;
    canvas.strokeStyle = colour;
    canvas.fillStyle = colour;
    canvas.setLineDash(state === 'exited' ? [3, 3] : []);
    if (state === 'running') {
      canvas.globalAlpha = 0.35;
      canvas.fillRect(left, top, right - left, BOX);
      canvas.globalAlpha = 1;
    }
    if (state === 'exited') canvas.strokeRect(left, top + BOX / 2, Math.max(right - left, 0.5), 0);
    else canvas.strokeRect(left + 0.5, top + 0.5, Math.max(right - left - 1, 1), BOX - 1);
    canvas.setLineDash([]);
    const label = `${nameOfState(change)}${code === undefined ? '' : ` ${code}`}`;
    const from = Math.max(left, view.gutter) + 8;
    canvas.font = SMALL;
    const width = canvas.measureText(label).width;
    if (from + width + 4 > right) return;
    if (state === 'exited') {
      canvas.fillStyle = this.#colour('back');
      canvas.fillRect(from - 2, top, width + 4, BOX);
    }
    this.#text(
      label,
      from,
      top + BOX / 2 + 0.5,
      width + 1,
      SMALL,
      code === undefined || code === 0 ? 'text' : 'failed',
    );
  }

  #event({ t }: ContainerEvent, top: number): void {
    const { canvas } = this;
    const x = xOf(t, this.view);
    canvas.fillStyle = this.#colour('text');
    canvas.beginPath();
    canvas.moveTo(x - 4, top - 3);
    canvas.lineTo(x + 4, top - 3);
    canvas.lineTo(x, top + LIFE / 2 - 2);
    canvas.fill();
  }

  #text(text: string, x: number, y: number, width: number, font: string, colour: string): void {
    const { canvas } = this;
    canvas.font = font;
    canvas.fillStyle = this.#colour(colour);
    canvas.fillText(shortened(canvas, text, width), x, y);
  }

  #colour(name: string): string {
    const known = this.#colours.get(name);
    if (known !== undefined) return known;
    const value = this.#style.getPropertyValue(`--${name}`).trim();
    const [, light = value, dark = value] = /^light-dark\((.+?),\s*(.+)\)$/.exec(value) ?? [];
    const colour = this.#isDark ? dark : light;
    this.#colours.set(name, colour);
    return colour;
  }
}

/** Returns the name of a state. A sandbox is called ready or not ready instead of running or exited. */
export function nameOfState({ of, state }: StateChange): string {
  if (of === 'container' || state === 'removed' || state === 'created') return state;
  return state === 'running' ? 'ready' : 'not ready';
}

function shortened(canvas: CanvasRenderingContext2D, text: string, width: number): string {
  if (canvas.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (canvas.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}
