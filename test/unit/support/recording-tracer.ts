import type { ServedCall, Span, SpanAttributes, Step, Tracer } from '../../../src/lib/tracer';

export interface Recorded {
  readonly name: string;
  readonly attributes: SpanAttributes;
  readonly failed?: string;
  readonly threw?: unknown;
}

/**
 * A tracer that records the spans in the order in which they ended. It makes a span of every step, in a
 * call or not.
 */
export class RecordingTracer implements Tracer {
  readonly spans: Recorded[] = [];
  readonly served: ServedCall[] = [];
  headers: Readonly<Record<string, string>> | undefined;

  serve<T>(call: () => ServedCall, work: (span: Span) => Promise<T>): Promise<T> {
    const made = call();
    this.served.push(made);
    return this.record(made, work);
  }

  step<T>(step: () => Step, work: (span: Span) => Promise<T>): Promise<T> {
    return this.record(step(), work);
  }

  private async record<T>(
    { name, attributes }: Pick<Step, 'name' | 'attributes'>,
    work: (span: Span) => Promise<T>,
  ): Promise<T> {
    let all = attributes;
    let failed: string | undefined;
    const keep = (more: object): void => {
      this.spans.push({ name, attributes: all, ...(failed === undefined ? {} : { failed }), ...more });
    };
    try {
      const result = await work({
        set: (given) => (all = { ...all, ...given() }),
        fail: (type) => (failed = type),
        headers: this.headers,
      });
      keep({});
      return result;
    } catch (error) {
      keep({ threw: error });
      throw error;
    }
  }
}
