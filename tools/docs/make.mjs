// Writes the pages of docs/ that are made from tables in the code (pages.ts).
//
//   make.mjs           writes the pages that are not current
//   make.mjs --check   writes nothing, and fails if a page is not current
import { buildSync } from 'esbuild';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));

/** Returns the exports of pages.ts. It is bundled first, because Node.js 20 cannot load TypeScript. */
function loadPages() {
  const directory = mkdtempSync(join(tmpdir(), 'dockbridge-docs-'));
  try {
    const outfile = join(directory, 'pages.cjs');
    const entryPoints = [join(here, 'pages.ts')];
    // docs/metrics.md shows the class names of the metrics.
    const how = { bundle: true, platform: 'node', format: 'cjs', keepNames: true, logLevel: 'warning' };
    buildSync({ entryPoints, outfile, ...how });
    return createRequire(import.meta.url)(outfile).PAGES;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const isCheck = process.argv.includes('--check');
const pages = Object.entries(loadPages()).map(([page, render]) => ({ page, text: render() }));
const stale = pages.filter(({ page, text }) => {
  const path = join(root, page);
  return !existsSync(path) || readFileSync(path, 'utf8') !== text;
});
for (const { page, text } of stale) {
  if (isCheck) console.error(`${page} is not current: run \`make docs\``);
  else {
    writeFileSync(join(root, page), text);
    console.log(`docs: ${page} is written`);
  }
}
if (isCheck && stale.length > 0) process.exit(1);
console.log(`docs: ${pages.length} pages are current`);
