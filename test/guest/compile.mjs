// compile.mjs DIRECTORY: compiles the sources and the integration tests to JavaScript, at the same paths below DIRECTORY, as
// jest compiles them when it loads them. jest would need minutes for this under emulation.
import { mkdirSync, readFileSync, readdirSync, writeFileSync, copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const require = createRequire(import.meta.url);
const { transformSync } = require('@swc/core');
const [, options] = require('../../jest.config.js').projects[0].transform['^.+\\.ts$'];

const target = process.argv[2];
for (const folder of ['src', 'test/integration', 'test/unit/support', 'test/fakes', 'test/guest']) {
  for (const path of readdirSync(join(root, folder), { recursive: true })) {
    const [from, to] = [join(root, folder, path), join(target, folder, path)];
    if (!/(?<!\.d)\.(ts|js)$/.test(path)) continue;
    mkdirSync(dirname(to), { recursive: true });
    if (path.endsWith('.js')) {
      copyFileSync(from, to);
      continue;
    }
    const { code } = transformSync(readFileSync(from, 'utf8'), {
      ...options,
      filename: from,
      module: { type: 'commonjs' },
      sourceMaps: 'inline',
    });
    writeFileSync(to.replace(/\.ts$/, '.js'), code);
  }
}
