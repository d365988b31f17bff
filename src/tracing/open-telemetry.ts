import { AsyncLocalStorage } from 'node:async_hooks';
import { hostname } from 'node:os';
import {
  type Attributes,
  type Context,
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  type Span as OtelSpan,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer as OtelTracer,
} from '@opentelemetry/api';
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { Logger } from '../lib/logger';
import {
  NO_SPAN,
  type ServedCall,
  type Span,
  type SpanAttributes,
  type Step,
  type Tracer,
} from '../lib/tracer';
import type { Tracing } from './tracing';
import { WatchedExporter } from './watched-exporter';

/** The default of OTEL_EXPORTER_OTLP_TIMEOUT, in ms. */
const DEFAULT_EXPORT_MS = 10_000;
/** How long the daemon's stop waits for the collector, in ms. The whole stop has 10 s. */
const CLOSE_MS = 2_000;

/**
 * Starts OpenTelemetry's SDK, which reads its settings from its own environment variables: sampler, resource, limits of the
 * queue and of spans, and the exporter's address, headers, certificates, compression and timeout. Only this file imports the
 * SDK, and it is loaded only when tracing is enabled. In packages it is bundled with its own copy of everything that it
 * imports.
 */
export function startTracing({ version, logger }: { version: string; logger: Logger }): Tracing {
  speakThrough(logger);
  const exporter = new WatchedExporter(new OTLPTraceExporter(), logger, exportLimitMs(process.env));
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(
        resourceFromAttributes({
          'service.name': 'dockbridge',
          'service.version': version,
          'host.name': hostname(),
          'process.pid': process.pid,
        }),
      )
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  return {
    tracer: new RecordingTracer(provider.getTracer('dockbridge', version)),
    close: async () => {
      exporter.close();
      await endsWithin(CLOSE_MS, provider.shutdown());
    },
  };
}

/**
 * Returns the exporter's own limit from its variables, plus one second in which the exporter can report that the limit has
 * passed.
 */
function exportLimitMs(env: NodeJS.ProcessEnv): number {
  const given = Number(env.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT ?? env.OTEL_EXPORTER_OTLP_TIMEOUT);
  return (given > 0 ? given : DEFAULT_EXPORT_MS) + 1_000;
}

/**
 * Logs the SDK's messages as warnings while it reads its variables. Its later messages are about failures of the exporter, which
 * WatchedExporter logs.
 */
function speakThrough(logger: Logger): void {
  let isStarting = true;
  queueMicrotask(() => (isStarting = false));
  const say = (message: string): void => {
    if (isStarting) logger.warn('OpenTelemetry warns', { warning: message });
    else
      logger.debug(
        () => 'OpenTelemetry warns',
        () => ({ warning: message }),
      );
  };
  const nothing = (): void => undefined;
  diag.setLogger(
    { error: say, warn: say, info: nothing, debug: nothing, verbose: nothing },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  // This replaces the SDK's handler, which would log each failure of the exporter.
  setGlobalErrorHandler(nothing);
}

/** The current span of running code. Code that continues after the end of the span holds only this small object. */
interface Open {
  /** The span; undefined once it has ended. */
  context: Context | undefined;
}

/** Keeps the current span across promises with AsyncLocalStorage. */
class RecordingTracer implements Tracer {
  private readonly open = new AsyncLocalStorage<Open>();
  private readonly propagator = new W3CTraceContextPropagator();

  constructor(private readonly tracer: OtelTracer) {}

  serve<T>(call: () => ServedCall, work: (span: Span) => Promise<T>): Promise<T> {
    const { name, attributes, ...carrier } = call();
    const parent = this.propagator.extract(ROOT_CONTEXT, carrier, {
      get: (headers: Readonly<Record<string, string | undefined>>, key) => headers[key],
      keys: Object.keys,
    });
    return this.record(name, SpanKind.SERVER, attributes, parent, work);
  }

  step<T>(step: () => Step, work: (span: Span) => Promise<T>): Promise<T> {
    const parent = this.open.getStore()?.context;
    if (parent === undefined) return work(NO_SPAN);
    const { name, kind, attributes } = step();
    return this.record(
      name,
      kind === 'client' ? SpanKind.CLIENT : SpanKind.INTERNAL,
      attributes,
      parent,
      work,
    );
  }

  private async record<T>(
    name: string,
    kind: SpanKind,
    attributes: SpanAttributes,
    parent: Context,
    work: (span: Span) => Promise<T>,
  ): Promise<T> {
    const span = this.tracer.startSpan(name, { kind, attributes: given(attributes) }, parent);
    const context = trace.setSpan(parent, span);
    const open: Open = { context };
    try {
      return await this.open.run(open, () => work(new RecordedSpan(span, this.headersOf(context))));
    } catch (error) {
      fail(span, typeOf(error));
      throw error;
    } finally {
      open.context = undefined;
      span.end();
    }
  }

  private headersOf(context: Context): Readonly<Record<string, string>> {
    const headers: Record<string, string> = {};
    this.propagator.inject(context, headers, {
      set: (into: Record<string, string>, key, value) => (into[key] = value),
    });
    return headers;
  }
}

class RecordedSpan implements Span {
  constructor(
    private readonly span: OtelSpan,
    readonly headers: Readonly<Record<string, string>>,
  ) {}

  set(attributes: () => SpanAttributes): void {
    if (this.span.isRecording()) this.span.setAttributes(given(attributes()));
  }

  fail(type: string): void {
    fail(this.span, type);
  }
}

function fail(span: OtelSpan, type: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function given(attributes: SpanAttributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/**
 * Returns a gRPC code, an errno name, or the error's class. Messages are not used, because they may quote commands; they are in
 * the log.
 */
function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

/** Resolves when `work` has succeeded or failed, but after `ms` at the latest. */
async function endsWithin(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([work.catch(() => undefined), limit]);
  clearTimeout(timer);
}
