import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformFileSync } from '@swc/core';

const SRC = join(__dirname, '../../../src');

/**
 * A worker thread cannot load TypeScript: the folder of src/ that it lives in is compiled as `make build` would lay it out.
 * @returns the path of its worker-entry.js.
 */
export function compileWorker(folder: string, into: string): string {
  const files = readdirSync(join(SRC, folder)).map((name) => `${folder}/${name}`);
  for (const file of [...files, 'lib/errors.ts', 'node/file-limit.ts']) {
    const { code } = transformFileSync(join(SRC, file), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs' },
    });
    mkdirSync(join(into, file, '..'), { recursive: true });
    writeFileSync(join(into, file.replace(/\.ts$/, '.js')), code);
  }
  return join(into, folder, 'worker-entry.js');
}
