import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { parse, type Type } from 'protobufjs';
import { until } from '../unit/support/async';

/** The part of OTLP's messages that a collector reads: names and numbers of opentelemetry/proto/trace/v1 and common/v1. */
const OTLP = `
  syntax = "proto3";
  message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeSpans { repeated Span spans = 2; }
  message Span {
    bytes trace_id = 1;
    bytes span_id = 2;
    string trace_state = 3;
    bytes parent_span_id = 4;
    string name = 5;
    int32 kind = 6;
    fixed64 start_time_unix_nano = 7;
    fixed64 end_time_unix_nano = 8;
    repeated KeyValue attributes = 9;
    Status status = 15;
  }
  message Status { string message = 2; int32 code = 3; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue {
    oneof value {
      string string_value = 1;
      bool bool_value = 2;
      int64 int_value = 3;
      double double_value = 4;
    }
  }`;

type Value = string | number | boolean;

export interface CollectedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first span of a trace. */
  readonly parent: string;
  readonly traceState: string;
  readonly kind: 'internal' | 'server' | 'client';
  /** Nanoseconds since the epoch. */
  readonly start: bigint;
  readonly end: bigint;
  readonly failed: boolean;
  readonly statusMessage: string;
  readonly attributes: Readonly<Record<string, Value>>;
  readonly resource: Readonly<Record<string, Value>>;
}

/** Stands in for an OpenTelemetry collector: OTLP over HTTP, protobuf, optionally gzip. */
export class TraceCollector {
  readonly spans: CollectedSpan[] = [];
  /** Headers of the last request. */
  headers: IncomingMessage['headers'] = {};
  requests = 0;
  /** The status of each answer. With `hang` the collector accepts the request and never answers. */
  answer: number | 'hang' = 200;
  private readonly message: Type = parse(OTLP, { keepCase: true }).root.lookupType(
    'ExportTraceServiceRequest',
  );
  private readonly server: Server = createServer((request, response) => void this.take(request, response));

  /** Starts a collector. @param port the port of an earlier collector; otherwise any free port. */
  static async start(port = 0): Promise<TraceCollector> {
    const collector = new TraceCollector();
    collector.server.listen(port, '127.0.0.1');
    await once(collector.server, 'listening');
    return collector;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The value of OTEL_EXPORTER_OTLP_ENDPOINT. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  named(name: string): CollectedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  childrenOf({ spanId }: CollectedSpan): CollectedSpan[] {
    return this.spans.filter(({ parent }) => parent === spanId).sort((a, b) => Number(a.start - b.start));
  }

  /** Resolves with the first span of that name that `fits`. */
  async span(name: string, fits: (span: CollectedSpan) => boolean = () => true): Promise<CollectedSpan> {
    await until(() => this.named(name).some(fits), `a span ${name}`);
    return this.named(name).find(fits)!;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    this.requests++;
    this.headers = request.headers;
    if (this.answer === 'hang') return;
    if (request.method !== 'POST' || request.url !== '/v1/traces') {
      response.writeHead(404).end();
      return;
    }
    if (this.answer === 200)
      this.spans.push(
        ...this.decode(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body),
      );
    response.writeHead(this.answer, { 'content-type': 'application/x-protobuf' }).end();
  }

  private decode(body: Buffer): CollectedSpan[] {
    const wire = this.message.toObject(this.message.decode(body), {
      longs: String,
      bytes: String,
      defaults: true,
      arrays: true,
    }) as Wire;
    return wire.resource_spans.flatMap(({ resource, scope_spans: scopes }) =>
      scopes.flatMap(({ spans }) =>
        spans.map((span) => ({
          name: span.name,
          traceId: hex(span.trace_id),
          spanId: hex(span.span_id),
          parent: hex(span.parent_span_id),
          traceState: span.trace_state,
          kind: (['internal', 'internal', 'server', 'client'] as const)[span.kind] ?? 'internal',
          start: BigInt(span.start_time_unix_nano),
          end: BigInt(span.end_time_unix_nano),
          failed: span.status?.code === 2,
          statusMessage: span.status?.message ?? '',
          attributes: record(span.attributes),
          resource: record(resource?.attributes ?? []),
        })),
      ),
    );
  }
}

interface Wire {
  resource_spans: { resource: { attributes: Attribute[] } | null; scope_spans: { spans: WireSpan[] }[] }[];
}
interface WireSpan {
  trace_id: string;
  span_id: string;
  trace_state: string;
  parent_span_id: string;
  name: string;
  kind: number;
  start_time_unix_nano: string;
  end_time_unix_nano: string;
  attributes: Attribute[];
  status: { code: number; message: string } | null;
}
interface Attribute {
  key: string;
  value: { string_value?: string; bool_value?: boolean; int_value?: string; double_value?: number } | null;
}

const hex = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');

function record(attributes: readonly Attribute[]): Record<string, Value> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value?.string_value ?? value?.bool_value ?? value?.double_value ?? Number(value?.int_value),
    ]),
  );
}
