import { escapeAttribute, escapeText } from '../../../lib/markup';
import type { Finding, Severity } from '../../finding';
import { count } from '../finding-of';
import { HEADINGS, nextStep, REPLACE, verdict, type InventoryReport } from '../report';

/** How many places are shown before the reader has to open the rest. */
const SHOWN = 8;

/**
 * Renders one page for the owner of the node. It needs no other file, no script and no network, and its policy forbids a browser to
 * load anything.
 */
export function renderHtml(report: InventoryReport): string {
  const { node, summary, findings } = report;
  const severities: readonly Severity[] = ['block', 'change', 'review', 'ok'];
  const sections = severities
    .map((severity) => [severity, findings.filter((one) => one.severity === severity)] as const)
    .filter(([, some]) => some.length > 0);
  const facts = [
    ['Engine', node.engine],
    ['System', [node.os, node.arch].filter((part) => part !== '').join(', ')],
    ['kubelet', node.kubelet],
    ['Pods', `${node.pods} with ${count(node.containers, 'container')}`],
    ['Other containers', String(node.foreign)],
    ['Images', String(node.images)],
  ].filter(([, value]) => value !== '');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(`Leaving Docker: ${node.hostname}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<p class="kind">Leaving Docker Engine: inventory of a node</p>
<h1>${escapeText(node.hostname)}</h1>
<p class="verdict ${worst(report)}">${escapeText(verdict(report))}</p>
<p>${code(nextStep(report))}</p>
<p class="note">${escapeText(REPLACE)}</p>
<ul class="counts">${severities.map((severity) => `<li class="${severity}"><b>${summary[severity]}</b> ${escapeText(HEADINGS[severity].toLowerCase())}</li>`).join('')}</ul>
<dl>${facts.map(([name = '', value = '']) => `<div><dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd></div>`).join('')}</dl>
</header>
${sections.map(([severity, some]) => section(severity, some)).join('\n')}
<footer><p>dockbridge ${escapeText(report.dockbridge)} read this from the node and changed nothing. Passwords and tokens are left out. The links name sections of dockbridge's documentation.</p></footer>
</main>
</body>
</html>
`;
}

function worst({ findings: [first] }: InventoryReport): Severity {
  return first?.severity ?? 'ok';
}

function section(severity: Severity, findings: readonly Finding[]): string {
  return `<section class="${severity}"><h2>${escapeText(HEADINGS[severity])}</h2>
${findings.map(article).join('\n')}
</section>`;
}

function article({ id, summary, advice, evidence, link }: Finding): string {
  const shown = evidence.slice(0, SHOWN);
  const rest = evidence.slice(SHOWN);
  return [
    `<article><h3>${code(summary)}</h3>`,
    ...(advice === '' ? [] : [`<p>${code(advice)}</p>`]),
    shown.length === 0 ? '' : table(shown),
    rest.length === 0 ? '' : `<details><summary>${rest.length} more</summary>${table(rest)}</details>`,
    `<p class="id"><code>${escapeText(id)}</code> · ${escapeText(link)}</p></article>`,
  ].join('');
}

function table(evidence: Finding['evidence']): string {
  const rows = evidence.map(
    ({ where, what }) =>
      `<tr><td title="${escapeAttribute(where)}">${escapeText(where)}</td><td>${escapeText(what)}</td></tr>`,
  );
  return `<table>${rows.join('')}</table>`;
}

/** Commands stand between backticks in findings. */
function code(text: string): string {
  return escapeText(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5a6472;--line:#d8dde4;--paper:#fff;--ground:#f3f5f8;
--block:#b3261e;--change:#9a5b00;--review:#1f5fa8;--ok:#2d6b3a}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;--line:#333b47;--paper:#1b2028;--ground:#12161c;
--block:#ff8a80;--change:#f0b45c;--review:#8ab8f0;--ok:#86cf97}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:58rem;margin:0 auto;padding:2rem 1rem 3rem}
h1{margin:0;font-size:1.9rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.2rem 0 .6rem;color:var(--tone)}
h3{font-size:1rem;margin:0 0 .4rem}
p{margin:.4rem 0}
.kind,.note,.id,footer{color:var(--soft);font-size:.875rem}
.verdict{font-size:1.15rem;font-weight:600;color:var(--tone)}
.block{--tone:var(--block)}.change{--tone:var(--change)}.review{--tone:var(--review)}.ok{--tone:var(--ok)}
.counts{list-style:none;display:flex;flex-wrap:wrap;gap:.5rem;margin:1rem 0;padding:0}
.counts li{border:1px solid var(--line);border-radius:.5rem;padding:.3rem .7rem;background:var(--paper);font-size:.9rem}
.counts b{color:var(--tone);font-size:1.1rem}
dl{display:flex;flex-wrap:wrap;gap:.4rem 2rem;margin:1rem 0 0}
dt{color:var(--soft);font-size:.8rem}dd{margin:0}
article{background:var(--paper);border:1px solid var(--line);border-left:.3rem solid var(--tone);border-radius:.4rem;padding:.8rem 1rem;margin:0 0 .7rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0;font-size:.875rem}
td{border-top:1px solid var(--line);padding:.25rem .6rem .25rem 0;vertical-align:top;overflow-wrap:anywhere}
td:first-child{width:45%;font-family:ui-monospace,monospace}
code{font-family:ui-monospace,monospace;font-size:.9em;background:var(--ground);border-radius:.25rem;padding:.05rem .25rem}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.8rem}
@media (max-width:40rem){td{display:block;width:auto!important;padding-right:0}td+td{border-top:0;padding-top:0}}
@media print{body{background:#fff}article{break-inside:avoid}}
`;
