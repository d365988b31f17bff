import type { Explanation } from './explanation';

/** The differences between runtimes that were found by running them, one by one (docs/harness-effects.md). */
export const KNOWN: readonly Explanation[] = [];
