import { exposition, type Family } from '../../../src/metrics/exposition';

const CPU: Family = {
  name: 'cpu_seconds_total',
  help: 'Time\nspent.',
  kind: 'counter',
  labelKeys: ['pod', 'cpu'],
};
const RSS: Family = { name: 'rss_bytes', help: 'A \\ "b"', kind: 'gauge', labelKeys: ['pod'] };
const NONE: Family = { name: 'none', help: '-', kind: 'gauge', labelKeys: [] };

describe('exposition', () => {
  it('keeps a family together, whatever the order of the samples', () => {
    const pages = [
      ...exposition(
        [CPU, NONE, RSS],
        [
          { name: 'rss_bytes', labelValues: ['one'], value: 3 },
          { name: 'cpu_seconds_total', labelValues: ['one', '0'], value: 0.25 },
          { name: 'rss_bytes', labelValues: ['two'], value: -1 },
          { name: 'cpu_seconds_total', labelValues: ['two', '0'], value: Infinity },
        ],
      ),
    ];
    expect(pages).toEqual([
      '# HELP cpu_seconds_total Time\\nspent.\n# TYPE cpu_seconds_total counter\n' +
        'cpu_seconds_total{pod="one",cpu="0"} 0.25\ncpu_seconds_total{pod="two",cpu="0"} +Inf\n',
      '# HELP rss_bytes A \\\\ "b"\n# TYPE rss_bytes gauge\nrss_bytes{pod="one"} 3\nrss_bytes{pod="two"} -1\n',
    ]);
  });

  it('escapes what label values may hold', () => {
    const [page] = exposition([RSS], [{ name: 'rss_bytes', labelValues: ['a"b\\c\nd'], value: 1 }]);
    expect(page).toContain('rss_bytes{pod="a\\"b\\\\c\\nd"} 1\n');
  });
});
