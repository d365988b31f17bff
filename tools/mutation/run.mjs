// Compiles the mutation tester and runs it: `make mutation`.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
// The directory is inside the repository, so that the tool finds its packages, and in a folder that git ignores.
const tool = join(root, 'coverage/mutation/tool');

await build({
  entryPoints: [join(here, 'main.ts'), join(here, 'worker.ts')],
  bundle: true,
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: true,
  outdir: tool,
  logLevel: 'warning',
});
// Node.js 20 lacks `execve`, so this process stays. Signals of the terminal reach both processes.
const { status } = spawnSync(process.execPath, [join(tool, 'main.js'), root], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
