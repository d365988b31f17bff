import { renderCoverageDoc } from './coverage-doc';
import { renderMetricsDoc } from './metrics-doc';
import { renderOptionsDoc } from './options-doc';

/** The pages that `make docs` writes, each with the function that makes its text. */
export const PAGES: Readonly<Record<string, () => string>> = {
  'docs/cri-coverage.md': renderCoverageDoc,
  'docs/metrics.md': renderMetricsDoc,
  'docs/options.md': renderOptionsDoc,
};
