import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderMetricsDoc } from '../../../tools/docs/metrics-doc';
import { createMetrics } from '../../../src/metrics/series';

const FILE = join(__dirname, '../../../docs/metrics.md');

describe('docs/metrics.md', () => {
  it('is made from the registry (if it differs, run make docs)', () => {
    expect(readFileSync(FILE, 'utf8')).toBe(renderMetricsDoc());
  });

  it('lists every series of the registry', async () => {
    const series = (await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name);
    expect(series.length).toBeGreaterThan(30);
    for (const name of series) expect(renderMetricsDoc()).toContain(`| \`${name}\``);
  });
});
