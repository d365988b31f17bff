import { status, type Metadata } from '@grpc/grpc-js';
import type { ErrorCode } from '../lib/errors';
import type { LogFields } from '../lib/logger';
import type { ServedCall, Span, SpanAttributes } from '../lib/tracer';

/** The parts of grpc-js's call that a span needs. */
export interface TracedCall {
  readonly metadata: Pick<Metadata, 'get'>;
  /** Returns the path, such as `/runtime.v1.RuntimeService/Version`. */
  getPath(): string;
}

/**
 * Returns the span of a call. Its name follows OpenTelemetry's conventions for gRPC, as in containerd and kubelet's
 * client.
 */
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

/** The codes that OpenTelemetry's conventions for gRPC count as errors of a server's span. */
const FAILURES: readonly (ErrorCode | 'OK')[] = [
  ...(['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE'] as const),
];

/**
 * Adds the outcome of a call to its span.
 * @param subject returns the names and ids of `callSubject`.
 */
export function putOutcome(span: Span, code: ErrorCode | 'OK', subject: () => LogFields): void {
  span.set(() => ({ 'rpc.grpc.status_code': status[code], ...attributesOf(subject()) }));
  if (FAILURES.includes(code)) span.fail(code);
}

/**
 * Returns the attributes of a span. Only names and ids of the request become attributes, never its environment, commands
 * or credentials.
 */
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
