import { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger } from '../lib/logger';

type Done = Parameters<SpanExporter['export']>[1];

/**
 * Logs once that the collector does not accept spans, and once that it accepts them again, however often an export fails in
 * between. Lost spans are not sent again, because the queue is short and they would only displace newer spans.
 */
export class WatchedExporter implements SpanExporter {
  private lost = 0;
  private isClosing = false;

  constructor(
    private readonly exporter: SpanExporter,
    private readonly logger: Pick<Logger, 'info' | 'warn'>,
    private readonly limitMs: number,
  ) {}

  export(spans: ReadableSpan[], done: Done): void {
    let isOver = false;
    const end: Done = (result) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      if (result.code === ExportResultCode.SUCCESS) this.succeeded();
      else this.failed(spans.length, result.error);
      done(result);
    };
    // The SDK's own limit does not suffice, because it begins again with each byte that the collector sends.
    const error = new Error(`no complete answer within ${this.limitMs} ms`);
    const timer = setTimeout(() => end({ code: ExportResultCode.FAILED, error }), this.limitMs).unref();
    this.exporter.export(spans, end);
  }

  forceFlush(): Promise<void> {
    return this.exporter.forceFlush?.() ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this.exporter.shutdown();
  }

  /** Stops the log lines about failures, because the stop may cut off the last export, and nobody could do anything about that. */
  close(): void {
    this.isClosing = true;
  }

  private succeeded(): void {
    if (this.lost > 0) this.logger.info('The trace collector accepts spans again', { spansLost: this.lost });
    this.lost = 0;
  }

  private failed(spans: number, error: Error | undefined): void {
    if (this.lost === 0 && !this.isClosing)
      this.logger.warn(
        'The trace collector does not accept spans; they are lost until it accepts them again',
        {
          error: wordsOf(error),
        },
      );
    this.lost += spans;
  }
}

/** Returns the text of an error. Node.js's errors for a host with several addresses have no message, only a code. */
function wordsOf(error: Error | undefined): string {
  if (error === undefined) return 'no reason given';
  const { message, code } = error as Error & { readonly code?: unknown };
  if (message !== '') return typeof code === 'number' ? `HTTP ${code} ${message}` : message;
  return typeof code === 'string' || typeof code === 'number' ? String(code) : error.name;
}
