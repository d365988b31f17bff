// Makes the page of `dockbridge cri show --html`, without its data, from the sources in page/ (docs/adr/0075).
//
//   tape-page.mjs FILE
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [output] = process.argv.slice(2);

const {
  outputFiles: [script],
} = await build({
  absWorkingDir: root,
  entryPoints: ['page/main.ts'],
  bundle: true,
  write: false,
  format: 'iife',
  target: 'es2022',
  charset: 'ascii',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  logLevel: 'warning',
});
const code = script.text.trim();
const style = readFileSync(join(root, 'page/page.css'), 'utf8');
if (/<\/script|<!--/i.test(code) || /<\/style/i.test(style))
  throw new Error('page/ has a text that would end its element');

const hashOf = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
// The page loads nothing, and no other script runs in it, wherever that script comes from.
const policy = `default-src 'none'; script-src ${hashOf(code)}; style-src ${hashOf(style)}; base-uri 'none'; form-action 'none'`;
const parts = { policy, style: `<style>${style}</style>`, script: `<script>${code}</script>` };

const page = readFileSync(join(root, 'page/page.html'), 'utf8');
writeFileSync(
  output,
  Object.entries(parts).reduce((text, [name, part]) => text.replace(`<!-- ${name} -->`, () => part), page),
);
