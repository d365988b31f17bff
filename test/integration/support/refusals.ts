/**
 * Configurations that a call refuses, each with the beginning of the error's text. The code is
 * INVALID_ARGUMENT unless another is given.
 */
export interface Refusal {
  readonly field: RegExp;
  readonly code?: 'INVALID_ARGUMENT' | 'UNIMPLEMENTED' | 'FAILED_PRECONDITION' | 'NOT_FOUND' | 'UNKNOWN';
}
export type Refusals<Config> = Record<string, Refusal & { config: () => Config }>;

/** A text that is longer than Kubernetes allows. */
export const LARGE = 'x'.repeat(10 * 1024 * 1024);
