import type { Finding } from '../../../../src/migrate/finding';
import { renderHtml } from '../../../../src/migrate/inventory/render/html';
import { renderJson } from '../../../../src/migrate/inventory/render/json';
import { renderJunit } from '../../../../src/migrate/inventory/render/junit';
import { renderText } from '../../../../src/migrate/inventory/render/text';
import { inventoryReport } from '../../../../src/migrate/inventory/report';
import { plainNode } from '../support/node-facts';

const EVIL = `<script>alert("1")</script> & ' "quoted" \u001b[31m`;
const FINDINGS: Finding[] = [
  {
    ...{
      id: 'foreign',
      severity: 'block',
      summary: `Two containers ${EVIL}`,
      link: 'docs/migrating.md#foreign',
    },
    evidence: Array.from({ length: 20 }, (_, at) => ({ where: `container c${at}`, what: EVIL })),
    advice:
      'Run `docker rm`, and read on, because this advice is so long that it does not fit into one line of a terminal.',
  },
  {
    id: 'ulimits',
    severity: 'change',
    summary: 'Limits.',
    evidence: [],
    advice: 'Plan.',
    link: 'docs/migrating.md#ulimits',
  },
  {
    id: 'setting-x',
    severity: 'review',
    summary: 'Look.',
    evidence: [],
    advice: '',
    link: 'docs/migrating.md#registries',
  },
  { id: 'disk', severity: 'ok', summary: 'Room.', evidence: [], advice: '', link: 'docs/migrating.md#disk' },
];
const report = inventoryReport('1.0', plainNode(), FINDINGS);

describe('renderText', () => {
  const text = renderText(report);
  const lines = text.split('\n');

  it('begins with the result and ends with the next step', () => {
    expect(text).toMatch(/^Node node-1: Docker Engine 28\.5\.2, Debian GNU\/Linux 12, amd64\n/);
    expect(text).toContain(
      'This node cannot move yet: one finding forbids it. (1 block, 1 change, 1 review, 1 ok)',
    );
    expect(text).toMatch(
      /Next: resolve what forbids the move.*\n.*section for each finding, under its name\.\n$/,
    );
  });

  it('fits 100 columns, and contains no control characters', () => {
    expect(lines.filter((line) => line.length > 100)).toEqual([]);
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });

  it('shows the worst first, and only some places of each', () => {
    const order = ['BLOCK  foreign', 'and 14 more', 'CHANGE ulimits', 'REVIEW setting-x', 'OK     disk'];
    const at = order.map((part) => text.indexOf(part));
    expect(at.every((place) => place >= 0)).toBe(true);
    expect(at).toEqual([...at].sort((a, b) => a - b));
  });

  it('names the section only if the finding has another name', () => {
    expect(text).toContain('docs/migrating.md#registries');
    expect(text).not.toContain('docs/migrating.md#ulimits');
  });
});

describe('renderJson', () => {
  it('has a stable form', () => {
    expect(JSON.parse(renderJson(report))).toEqual({
      v: 1,
      dockbridge: '1.0',
      node: {
        ...{ hostname: 'node-1', os: 'Debian GNU/Linux 12', arch: 'amd64', engine: 'Docker Engine 28.5.2' },
        ...{ kubelet: 'process 812', pods: 0, containers: 0, foreign: 0, images: 0 },
      },
      summary: { block: 1, change: 1, review: 1, ok: 1 },
      findings: FINDINGS,
      exitCode: 3,
    });
  });
});

describe('renderJunit', () => {
  const xml = renderJunit(report);

  it('has a case for each finding, and fails those that need a change', () => {
    expect(xml).toContain(
      '<testsuites name="dockbridge migrate inventory" tests="4" failures="2" errors="0" skipped="1">',
    );
    expect(xml.match(/<testsuite /g)).toHaveLength(4);
    expect(xml.match(/<failure type="(block|change)"/g)).toHaveLength(2);
    expect(xml).toContain('<skipped message="Look."/>');
  });

  it('escapes what it quotes', () => {
    expect(xml).not.toContain('<script');
    expect(xml).not.toContain('\u001b');
    expect(xml).toContain('&lt;script&gt;');
  });
});

describe('renderHtml', () => {
  const html = renderHtml(report);

  it('escapes what it quotes, and has neither a script nor a place to load one from', () => {
    expect(html).not.toMatch(/<script|<link|src=|@import|url\(/);
    expect(html).not.toContain('\u001b');
    expect(html).toContain('&lt;script&gt;alert("1")&lt;/script&gt;');
    expect(html).toContain(`default-src 'none'`);
  });

  it('shows commands as code, and hides long lists at first', () => {
    expect(html).toContain('<code>docker rm</code>');
    expect(html).toContain('<summary>12 more</summary>');
  });
});
