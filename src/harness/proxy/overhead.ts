import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { RawHeaders } from './raw-headers';
import type { CallClosed, CallTap } from './relay';

const NS_PER_MS = 1e6;
const LOOP_RESOLUTION_MS = 10;

/** Milliseconds. */
export interface OverheadReport {
  readonly calls: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** How late the event loop of this process was, in ms. Calls may have waited this long in addition. */
  readonly loopDelayP99: number;
}

/**
 * How long calls were inside this process: from the arrival of a request to its passing on, and from the end of the answer's arrival
 * to its passing on. The two ways over the socket, and what the kernel takes to wake us, are not in it: test/bench measures all.
 */
export class Overhead {
  readonly #spent = createHistogram();
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });

  constructor() {
    this.#loop.enable();
  }

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
        const spent = inside + performance.now() - answeredAt;
        this.#spent.record(Math.max(1, Math.round(spent * NS_PER_MS)));
      },
    };
  }

  report(): OverheadReport {
    this.#loop.disable();
    const ms = (ns: number): number => ns / NS_PER_MS;
    const spent = this.#spent;
    return {
      calls: spent.count,
      ...(spent.count === 0
        ? { p50: 0, p99: 0, max: 0 }
        : { p50: ms(spent.percentile(50)), p99: ms(spent.percentile(99)), max: ms(spent.max) }),
      loopDelayP99: Math.max(0, ms(this.#loop.percentile(99)) - LOOP_RESOLUTION_MS),
    };
  }
}
