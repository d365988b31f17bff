/** What a span tells in addition to its name and its times. Undefined values are left out. */
export type SpanAttributes = Readonly<Record<string, string | number | undefined>>;

/** A call that somebody makes to us. */
export interface ServedCall {
  readonly name: string;
  readonly attributes: SpanAttributes;
  /** The caller's W3C trace context: the headers `traceparent` and `tracestate`, where it has sent them. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** A step that we take for the call that is being served. */
export interface Step {
  readonly name: string;
  /** `client` for a request to another program, `internal` for anything else. */
  readonly kind: 'client' | 'internal';
  readonly attributes: SpanAttributes;
}

/** A span that has begun. It ends when its work does. */
export interface Span {
  /** @param attributes called only if the span is recorded. */
  set(attributes: () => SpanAttributes): void;
  /** Marks the span as failed. @param type a short word of a small set, never a message: those may quote commands. */
  fail(type: string): void;
  /** The W3C headers that make another program's spans children of this one. Undefined when there are none. */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/**
 * The interface through which the rest of the code reports what it does. The arguments are closures, so that tracing that is
 * off costs one call of a function and no allocation of attributes. No method throws anything but what `work` throws.
 */
export interface Tracer {
  /** Runs `work` in the span of a served call. */
  serve<T>(call: () => ServedCall, work: (span: Span) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in a child of the span that this code runs in. There is no span when none is open there: neither for what
   * dockbridge does by itself, nor for what goes on after the call was answered.
   */
  step<T>(step: () => Step, work: (span: Span) => Promise<T>): Promise<T>;
}

/** Takes everything and keeps nothing. */
export const NO_SPAN: Span = { set: () => undefined, fail: () => undefined, headers: undefined };

/** The tracer of a daemon that does not trace. */
export const NO_TRACER: Tracer = {
  serve: (_call, work) => work(NO_SPAN),
  step: (_step, work) => work(NO_SPAN),
};
