/** What a refused call is expected to report: a pattern of the error's text, and the code (INVALID_ARGUMENT by default). */
export interface Refusal {
  readonly field: RegExp;
  readonly code?: 'INVALID_ARGUMENT' | 'UNIMPLEMENTED' | 'FAILED_PRECONDITION' | 'NOT_FOUND' | 'UNKNOWN';
}
/** Configurations that a call refuses, each under a name that says what is wrong with it. */
export type Refusals<Config> = Record<string, Refusal & { config: () => Config }>;

/** A text that is longer than Kubernetes allows. */
export const LARGE = 'x'.repeat(10 * 1024 * 1024);
