import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { CHECKS, PROCESSES } from '../../../src/doctor/checks';
import { POD } from '../../../src/doctor/checks/dockbridge';
import { createMetrics } from '../../../src/metrics/series';

const ROOT = join(__dirname, '../../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: {
    readonly summary: string;
    readonly description: string;
    readonly runbook_url: string;
  };
}
interface RuleTest {
  readonly name: string;
  readonly input_series: readonly { readonly series: string }[];
  readonly promql_expr_test: readonly {
    readonly expr: string;
    readonly exp_samples: readonly { labels: string }[];
  }[];
}
interface Panel {
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const rules = (
  parse(read('packaging/monitoring/rules.yaml')) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules);
const tests = (parse(read('packaging/monitoring/rules.test.yaml')) as { tests: RuleTest[] }).tests;
const dashboard = JSON.parse(read('packaging/monitoring/dashboard.json')) as { panels: Panel[] };
const targets = dashboard.panels.flatMap(({ title, targets: all = [] }) =>
  all.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
);

/** The labels that Prometheus adds to each series. */
const OF_TARGETS = ['instance', 'job'];
/** The labels of each existing series, ours and a few others. */
const SERIES: ReadonlyMap<string, readonly string[]> = new Map([
  ['up', []],
  ...['node_filesystem_avail_bytes', 'node_filesystem_size_bytes'].map((name): [string, string[]] => [
    name,
    ['mountpoint', 'fstype', 'device'],
  ]),
  ...ourSeries(),
]);

function ourSeries(): [string, readonly string[]][] {
  const all = Object.values(createMetrics()).filter((metric) => 'inc' in metric || 'observe' in metric);
  return all.flatMap((metric): [string, readonly string[]][] => {
    const { name, labelNames } = metric as unknown as { name: string; labelNames: readonly string[] };
    if (!('observe' in metric)) return [[name, labelNames]];
    return [
      [`${name}_bucket`, [...labelNames, 'le']],
      [`${name}_sum`, labelNames],
      [`${name}_count`, labelNames],
    ];
  });
}

/**
 * Returns the names in an expression that are not functions or keywords, with the labels that are matched.
 */
function selectorsOf(expr: string): { name: string; labels: string[] }[] {
  const bare = expr.replace(/"[^"]*"/g, '""').replace(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, '');
  return [...bare.matchAll(/(?<![$\w.])([a-z_][a-z0-9_]*)\b(?:\s*\{([^}]*)\})?(?!\s*\(|[\w])/g)]
    .map(([, name = '', labels = '']) => ({
      name,
      labels: [...labels.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
    }))
    .filter(({ name }) => !['or', 'and', 'unless', 'm', 's', 'd', 'h'].includes(name));
}

const groupedBy = (expr: string): string[] =>
  [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  );

function troublesOf(expr: string, legend = ''): string[] {
  const selectors = selectorsOf(expr);
  const unknown = selectors.flatMap(({ name, labels }) => {
    const has = SERIES.get(name);
    if (has === undefined) return [`no series ${name}`];
    return labels
      .filter((label) => ![...has, ...OF_TARGETS].includes(label))
      .map((label) => `no ${label} in ${name}`);
  });
  const labels = [...selectors.flatMap(({ name }) => SERIES.get(name) ?? []), ...OF_TARGETS];
  const shown = [...legend.matchAll(/\{\{\s*([a-z_]+)\s*\}\}/g)].map(([, label = '']) => label);
  const by = groupedBy(expr);
  return [
    ...(selectors.length === 0 ? ['no series at all'] : []),
    ...unknown,
    ...by
      .filter((label) => !labels.includes(label))
      .map((label) => `grouped by ${label}, which no series has`),
    // A grouped result has no other labels.
    ...shown
      .filter((label) => !(by.length > 0 ? by : labels).includes(label))
      .map((label) => `shows ${label}, which it lacks`),
  ];
}

it('the check finds unknown names and labels', () => {
  expect(troublesOf('dockbridge_engine_up == 0')).toEqual([]);
  expect(troublesOf('dockbridge_engine_down{job="x"} == 0')).toEqual(['no series dockbridge_engine_down']);
  expect(troublesOf('rate(dockbridge_cri_calls_total{verb="x"}[5m])')).toEqual([
    'no verb in dockbridge_cri_calls_total',
  ]);
  expect(troublesOf('sum by (verb) (dockbridge_images)')).toEqual(['grouped by verb, which no series has']);
  expect(troublesOf('sum by (method) (rate(dockbridge_cri_calls_total[5m]))', '{{code}}')).toEqual([
    'shows code, which it lacks',
  ]);
  expect(troublesOf('rate(dockbridge_cri_call_duration_seconds[5m])')).toHaveLength(1);
});

describe('the alert rules', () => {
  it('are numerous, and have unique names', () => {
    expect(rules.length).toBeGreaterThan(20);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  it.each(rules.map((rule) => [rule.alert, rule] as const))('use existing series: %s', (_, rule) => {
    const { summary, description } = rule.annotations;
    // The labels in the template are those of the expression.
    const template = `${summary} ${description}`
      .replace(/\$labels\./g, '')
      .replace(/\{\{\s*\$value[^}]*\}\}/g, '');
    expect(troublesOf(rule.expr, template)).toEqual([]);
    expect(['critical', 'warning', 'info']).toContain(rule.labels.severity);
    expect(summary).toMatch(/\{\{ \$labels\.instance \}\}/);
    expect(description.length).toBeGreaterThan(80);
  });

  it.each(rules.map(({ alert, labels }) => [alert, labels.severity]))(
    'have a test in which they fire for one node and no other: %s',
    (alert, severity) => {
      const own = tests.filter(({ name }) => name === alert);
      expect(own.length).toBeGreaterThan(0);
      for (const { input_series, promql_expr_test } of own) {
        expect(input_series.some(({ series }) => series.includes('instance="good"'))).toBe(true);
        expect(promql_expr_test.map(({ expr }) => expr)).toEqual(['ALERTS{alertstate="firing"}']);
        const fired = promql_expr_test.flatMap(({ exp_samples }) => exp_samples.map(({ labels }) => labels));
        expect(fired).toEqual([expect.stringContaining(`alertname="${alert}"`)]);
        expect(fired[0]).toContain('instance="bad"');
        expect(fired[0]).toContain(`severity="${severity}"`);
      }
    },
  );

  it('are tested with existing series', () => {
    for (const { series } of tests.flatMap(({ input_series }) => input_series))
      expect([series, troublesOf(series)]).toEqual([series, []]);
  });
});

describe('the dashboard', () => {
  it.each(targets.map((target) => [target.title, target] as const))(
    'uses existing series: %s',
    (_, target) => {
      // Grafana's variables stand for text.
      const { expr, legendFormat } = target;
      expect(troublesOf(expr.replaceAll('$__rate_interval', '5m'), legendFormat)).toEqual([]);
    },
  );

  it('shows every series of the registry', () => {
    const asked = new Set(
      targets.flatMap(({ expr }) => selectorsOf(expr).map(({ name }) => name.replace(/_bucket$/, ''))),
    );
    const all = new Set(ourSeries().map(([name]) => name.replace(/_(bucket|sum|count)$/, '')));
    expect([...all].filter((name) => !asked.has(name))).toEqual([]);
  });
});

/** Returns the anchors that GitHub gives the headings of a page. */
const anchorsOf = (page: string): string[] =>
  [...read(page).matchAll(/^#{2,3} (.+)$/gm)].map(([, name = '']) =>
    name
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );

describe('docs/troubleshooting.md', () => {
  const anchors = anchorsOf('docs/troubleshooting.md');
  const [PATH, WORDS] = ['docs/troubleshooting.md#', ['**Symptom:**', '**Cause:**', '**Cure:**']];

  it.each([
    ...CHECKS.map(({ id }) => id),
    ...[POD, PROCESSES],
    ...rules.map(({ annotations }) => annotations.runbook_url.replace(PATH, '')),
  ])('has a symptom, a cause and a cure for %s, once', (anchor) => {
    expect(anchors.filter((name) => name === anchor)).toEqual([anchor]);
    const section =
      read('docs/troubleshooting.md')
        .split(`\n### ${anchor}\n`)[1]
        ?.split(/\n##+ /)[0] ?? '';
    for (const word of WORDS) expect(section).toContain(word);
  });

  it('is the page to which all alerts link', () => {
    for (const { annotations } of rules)
      expect(annotations.runbook_url).toMatch(/^docs\/troubleshooting\.md#[\w-]+$/);
  });
});

it.each(['docs/monitoring.md', 'docs/troubleshooting.md', 'docs/metrics.md'])(
  'the links of %s lead to existing anchors',
  (page) => {
    const links = [...read(page).matchAll(/\]\((?:([\w-]+\.md)?#([\w-]+))\)/g)];
    for (const [, file, anchor = ''] of links)
      expect(anchorsOf(file === undefined ? page : `docs/${file}`)).toContain(anchor);
  },
);

describe('docs/monitoring.md', () => {
  it('lists exactly the alerts, with their severity', () => {
    const listed = [
      ...read('docs/monitoring.md').matchAll(
        /^\| \[(\w+)\]\(troubleshooting\.md#([\w-]+)\) +\| (\w+) +\| (\w+)/gm,
      ),
    ];
    expect(listed.map(([, ...columns]) => columns)).toEqual(
      rules.map((rule) => [
        rule.alert,
        rule.annotations.runbook_url.split('#')[1],
        rule.labels.severity,
        rule.for,
      ]),
    );
  });

  it("lists the panels in the dashboard's order", () => {
    const table = read('docs/monitoring.md').split('## The dashboard')[1] ?? '';
    const rows = [...table.matchAll(/^\| (?!Panel|-)(.+?) *\|(.*)\|$/gm)].map(([, name = '', what = '']) => [
      name.replace(/\*\*/g, ''),
      what.trim(),
    ]);
    expect(rows).toEqual(dashboard.panels.map(({ title, description = '' }) => [title, description]));
  });
});
