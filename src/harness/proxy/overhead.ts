import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { RawHeaders } from './raw-headers';
import type { CallClosed, CallTap } from './relay';

const NS_PER_MS = 1e6;
const LOOP_RESOLUTION_MS = 10;

/** Milliseconds. */
export interface SpentReport {
  readonly calls: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface OverheadReport extends SpentReport {
  /** How late the event loop of this process was, in ms. Calls may have waited this long in addition. */
  readonly loopDelayP99: number;
}

/** How long calls were here: it keeps no single one. */
export class SpentTimes {
  readonly #spent = createHistogram();

  /** @param ms NaN is not counted. */
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

/** How late this process comes to its work. */
export class LoopDelay {
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });

  constructor() {
    this.#loop.enable();
  }

  /** Measures no longer. @returns the 99th percentile in ms. */
  end(): number {
    this.#loop.disable();
    return Math.max(0, this.#loop.percentile(99) / NS_PER_MS - LOOP_RESOLUTION_MS);
  }
}

/**
 * How long calls were inside this process: from the arrival of a request to its passing on, and from the end of the answer's arrival
 * to its passing on. The two ways over the socket, and what the kernel takes to wake us, are not in it: test/bench measures all.
 */
export class Overhead {
  readonly #spent = new SpentTimes();

  /** The same tap, timed. */
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
