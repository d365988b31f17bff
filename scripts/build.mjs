// Compiles to dist/ with nothing but npm's packages, on any platform. `npm run build` and `make build` do
// this first. `make build` also makes the pause image, which needs Linux and a C compiler.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const run = (...script) => execFileSync(process.execPath, script, { cwd: root, stdio: 'inherit' });

run('scripts/generate-proto.mjs');
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json');
// tsc does not copy the generated JavaScript.
mkdirSync(join(root, 'dist/proto/gen'), { recursive: true });
for (const name of ['cri.js', 'descriptors.js', 'containerd.js', 'nri.js'])
  copyFileSync(join(root, 'src/proto/gen', name), join(root, 'dist/proto/gen', name));

run('scripts/tape-page.mjs', join(root, 'dist/harness/html/tape-page.template'));

// npm pack would include the output of sources that no longer exist.
for (const file of readdirSync(join(root, 'dist'), { recursive: true })) {
  const [, name] = /^(.+?)\.js(?:\.map)?$/.exec(file) ?? [];
  const sources = [`src/${name}.ts`, `src/${name}.js`];
  if (name !== undefined && !sources.some((source) => existsSync(join(root, source))))
    rmSync(join(root, 'dist', file), { force: true });
}
