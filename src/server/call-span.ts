import { status, type Metadata } from '@grpc/grpc-js';
import type { ErrorCode } from '../lib/errors';
import type { LogFields } from '../lib/logger';
import type { ServedCall, Span, SpanAttributes } from '../lib/tracer';

/** What a call's span needs to know of grpc-js's call. */
export interface TracedCall {
  readonly metadata: Pick<Metadata, 'get'>;
  /** `/runtime.v1.RuntimeService/Version` */
  getPath(): string;
}

/** Named like the spans of containerd and of kubelet's client (OpenTelemetry's conventions for gRPC). */
export function servedCall(call: TracedCall): ServedCall {
  const header = (name: string): string | undefined => call.metadata.get(name)[0]?.toString();
  const name = call.getPath().slice(1);
  const [service, method] = name.split('/');
  return {
    name,
    attributes: { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method },
    traceparent: header('traceparent'),
    tracestate: header('tracestate'),
  };
}

/** The codes that are a server's failure; the others tell a client that it asked in vain (the same conventions). */
const FAILURES: readonly (ErrorCode | 'OK')[] = [
  ...(['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE'] as const),
];

/** @param subject the names and ids of `callSubject`. */
export function putOutcome(span: Span, code: ErrorCode | 'OK', subject: () => LogFields): void {
  span.set(() => ({ 'rpc.grpc.status_code': status[code], ...attributesOf(subject()) }));
  if (FAILURES.includes(code)) span.fail(code);
}

/** Only names and ids of a request get into a span: no environment, no commands, no credentials. */
function attributesOf(subject: LogFields): SpanAttributes {
  const text = (key: string): string | undefined => {
    const value = subject[key];
    return typeof value === 'string' ? value : undefined;
  };
  const [namespace, pod] = text('pod')?.split('/') ?? [];
  return {
    'sandbox.id': text('sandbox'),
    'container.id': text('container'),
    'container.image.name': text('image'),
    'k8s.namespace.name': namespace,
    'k8s.pod.name': pod,
    'k8s.container.name': text('name'),
  };
}
