import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { RawHeaders } from './raw-headers';
import type { CallClosed, CallTap } from './relay';

const NS_PER_MS = 1e6;
const LOOP_RESOLUTION_MS = 10;

/** The times that calls spent in this process, in milliseconds. */
export interface SpentReport {
  readonly calls: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface OverheadReport extends SpentReport {
  /** The 99th percentile of the event loop's delay, in ms. Calls may have waited this long in addition. */
  readonly loopDelayP99: number;
}

/** Collects the times that calls spent in this process, in a histogram. */
export class SpentTimes {
  readonly #spent = createHistogram();

  /** Counts a call. @param ms the time that it spent; NaN is not counted. */
  record(ms: number): void {
    if (!Number.isNaN(ms)) this.#spent.record(Math.max(1, Math.round(ms * NS_PER_MS)));
  }

  report(): SpentReport {
    const spent = this.#spent;
    if (spent.count === 0) return { calls: 0, p50: 0, p99: 0, max: 0 };
    const [p50, p99, max] = [spent.percentile(50), spent.percentile(99), spent.max].map(
      (ns) => ns / NS_PER_MS,
    );
    return { calls: spent.count, p50: p50 ?? 0, p99: p99 ?? 0, max: max ?? 0 };
  }
}

/** Measures the delay of this process's event loop. */
export class LoopDelay {
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });

  constructor() {
    this.#loop.enable();
  }

  /** Ends the measurement. @returns the 99th percentile in ms. */
  end(): number {
    this.#loop.disable();
    return Math.max(0, this.#loop.percentile(99) / NS_PER_MS - LOOP_RESOLUTION_MS);
  }
}

/**
 * Measures how long calls spend inside this process: from the arrival of a request until it is passed on, plus from the first bytes of the
 * answer to its end. The time in the kernel and the time until the kernel wakes this process are not included; test/bench measures these too.
 */
export class Overhead {
  readonly #spent = new SpentTimes();

  /** Returns a tap that measures the call and passes everything on to another tap. */
  timed(tap: CallTap): CallTap {
    const arrived = performance.now();
    let inside = 0;
    let answeredAt: number | undefined;
    return {
      n: tap.n,
      requestBytes: (chunk) => tap.requestBytes(chunk),
      requestPassed: () => {
        inside = performance.now() - arrived;
        tap.requestPassed();
      },
      responseHeaders: (raw: RawHeaders) => {
        answeredAt = performance.now();
        tap.responseHeaders(raw);
      },
      responseBytes: (chunk) => tap.responseBytes(chunk),
      answered: (trailers) => tap.answered(trailers),
      closed: (end: CallClosed) => {
        tap.closed(end);
        if (answeredAt === undefined || end.by !== 'runtime') return;
        this.#spent.record(inside + performance.now() - answeredAt);
      },
    };
  }

  report(): SpentReport {
    return this.#spent.report();
  }
}
