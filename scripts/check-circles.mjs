// Finds files that import each other in a circle, by value or by type, and fails if there are any. ESLint
// checks the layers between folders; this script also checks within a folder.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Returns every TypeScript file below `folder` except generated declarations, which import none of our files. */
function sources(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(root, folder, name));
}

function resolved(from, specifier) {
  const path = join(dirname(from), specifier);
  return [`${path}.ts`, join(path, 'index.ts')].find((candidate) => existsSync(candidate));
}

/** Returns the files that `file` imports; `import type` and `import('…')` count as well. */
function importsOf(file) {
  return ts
    .preProcessFile(readFileSync(file, 'utf8'), true, true)
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => resolved(file, fileName))
    .filter((target) => target !== undefined);
}

const files = ['src', 'test', 'tools'].filter((folder) => existsSync(join(root, folder))).flatMap(sources);
const graph = new Map(files.map((file) => [file, importsOf(file)]));

/** Returns the groups of files that can reach each other, found with Tarjan's algorithm. */
function groups() {
  const order = new Map();
  const low = new Map();
  const stack = [];
  const found = [];
  const visit = (file) => {
    order.set(file, order.size);
    low.set(file, order.get(file));
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file), low.get(next)));
    }
    if (low.get(file) !== order.get(file)) return;
    const group = stack.splice(stack.indexOf(file));
    if (group.length > 1 || graph.get(file)?.includes(file)) found.push(group);
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found;
}

const circles = groups();
for (const circle of circles)
  console.error(
    `These files import each other in a circle:\n${circle.map((file) => `  ${relative(root, file)}`).join('\n')}`,
  );
if (circles.length > 0) process.exit(1);
console.log(`circles: none among ${files.length} files`);
