/** The part of a run that is in view, in seconds. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/** The shortest range that can be shown: 10 µs. */
const SHORTEST = 0.000_01;
/** The margin before and after a run, as a share of its length, so that the first and last marks are fully visible. */
const ROOM = 0.02;

export function wholeRange(end: number): TimeRange {
  const length = Math.max(end, 0.001);
  return { from: -length * ROOM, to: length * (1 + ROOM) };
}

/** Changes the length of the range. @param factor below 1 zooms in. @param at the time that keeps its position. */
export function zoomed({ from, to }: TimeRange, factor: number, at: number, end: number): TimeRange {
  const whole = wholeRange(end);
  const length = Math.min(Math.max((to - from) * factor, SHORTEST), whole.to - whole.from);
  const part = (at - from) / (to - from);
  return kept({ from: at - part * length, to: at + (1 - part) * length }, end);
}

/** Moves the range within the run. @param by seconds. */
export function panned({ from, to }: TimeRange, by: number, end: number): TimeRange {
  return kept({ from: from + by, to: to + by }, end);
}

function kept({ from, to }: TimeRange, end: number): TimeRange {
  const whole = wholeRange(end);
  const shift = Math.max(0, whole.from - from) + Math.min(0, whole.to - to);
  return { from: from + shift, to: to + shift };
}

/** Returns the marks of the axis with their labels: at round times, about one for each `distance` pixels. */
export function marks(
  { from, to }: TimeRange,
  width: number,
  distance: number,
): readonly { readonly t: number; readonly label: string }[] {
  const rough = ((to - from) * distance) / Math.max(width, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const first = Math.ceil(from / step);
  const last = Math.floor(to / step);
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const t = (first + at) * step;
    return { t, label: `${Math.abs(t) < step / 2 ? '0' : t.toFixed(digits)} s` };
  });
}
