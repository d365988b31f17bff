/** The attributes of a span, in addition to its name and times. Undefined values are omitted. */
export type SpanAttributes = Readonly<Record<string, string | number | undefined>>;

/** A call that dockbridge serves. */
export interface ServedCall {
  readonly name: string;
  readonly attributes: SpanAttributes;
  /** The caller's W3C trace context: the headers `traceparent` and `tracestate`, if the caller has sent them. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** A step of the work on the call that is being served. */
export interface Step {
  readonly name: string;
  /** `client` for a request to another program; `internal` for anything else. */
  readonly kind: 'client' | 'internal';
  readonly attributes: SpanAttributes;
}

/** A span that has begun. It ends when its work ends. */
export interface Span {
  /**
   * Adds attributes.
   * @param attributes called only if the span is recorded.
   */
  set(attributes: () => SpanAttributes): void;
  /**
   * Marks the span as failed.
   * @param type a short word from a small set. It must not be a message, because messages may quote commands.
   */
  fail(type: string): void;
  /** The W3C headers that make another program's spans children of this span; undefined when there are none. */
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/**
 * The interface through which the rest of the code traces its work. The arguments are closures, so that disabled tracing costs
 * one function call and allocates no attributes. The methods throw only the errors of `work`.
 */
export interface Tracer {
  /** Runs `work` in the span of a served call. */
  serve<T>(call: () => ServedCall, work: (span: Span) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in a child of the current span. If no span is open, none is made, as for dockbridge's background work and for
   * work that continues after its call was answered.
   */
  step<T>(step: () => Step, work: (span: Span) => Promise<T>): Promise<T>;
}

/** A span that discards everything. */
export const NO_SPAN: Span = { set: () => undefined, fail: () => undefined, headers: undefined };

/** The tracer of a daemon that does not trace. */
export const NO_TRACER: Tracer = {
  serve: (_call, work) => work(NO_SPAN),
  step: (_step, work) => work(NO_SPAN),
};
