import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderMetricsDoc } from '../../../src/metrics/metrics-doc';
import { createMetrics } from '../../../src/metrics/registry';

const FILE = join(__dirname, '../../../docs/metrics.md');
const UPDATE = 'UPDATE_DOCS=1 npx jest --selectProjects=unit test/unit/metrics/metrics-doc.test.ts';

describe('docs/metrics.md', () => {
  it(`is made from the registry (if not: ${UPDATE})`, () => {
    if (process.env.UPDATE_DOCS === '1') writeFileSync(FILE, renderMetricsDoc());
    expect(readFileSync(FILE, 'utf8')).toBe(renderMetricsDoc());
  });

  it('lists every series of the registry', async () => {
    const series = (await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name);
    expect(series.length).toBeGreaterThan(30);
    for (const name of series) expect(renderMetricsDoc()).toContain(`| \`${name}\``);
  });
});
