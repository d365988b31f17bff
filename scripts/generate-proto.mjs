// Generates src/proto/gen/cri.js and cri.d.ts from proto/runtime/v1/api.proto; cheap when nothing changed. Off (--no-…)
// is everything we never call: it would double the file.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const proto = join(root, 'proto/runtime/v1/api.proto');
const cli = join(root, 'node_modules/protobufjs-cli');
const out = join(root, 'src/proto/gen');
const outputs = ['cri.js', 'cri.d.ts'].map((name) => join(out, name));
const inputs = [proto, self, join(cli, 'package.json')];

function mtime(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** pbjs calls its own short names (IContainer) deprecated; they are the names our code uses, and lint must not object. */
function undeprecate(types) {
  return types.replace(/^ *\* @deprecated Use runtime\.v1\.\S+ instead\.\n/gm, '');
}

/**
 * TypeScript's enums are nominal: a number of src/proto/enums.ts (which loads no codecs) could not be assigned without a
 * cast. Unions of numbers can, and describe the same run-time objects.
 */
function unionsForEnums(types) {
  return types.replace(/^( *)enum (\w+) \{\n([\s\S]*?)^\1\}/gm, (_, indent, name, body) => {
    const values = [...body.matchAll(/(\w+) = (\d+)/g)].map(
      ([, key, number]) => `readonly ${key}: ${number};`,
    );
    return `${indent}const ${name}: { ${values.join(' ')} };\n${indent}type ${name} = (typeof ${name})[keyof typeof ${name}];`;
  });
}

/** The d.ts is made from the comments, so pbjs must write them; at run time they are a third of the file. */
function stripComments(code) {
  return code.replace(/^ *\/\*\*[\s\S]*?\*\/\n/gm, '');
}

function generate() {
  mkdirSync(out, { recursive: true });
  // A run beside us (two checkouts of `make`, a watching test) must never see half a file: write aside, then rename.
  const draft = join(out, `draft-${process.pid}`);
  execFileSync(
    process.execPath,
    [
      join(cli, 'bin/pbjs'),
      ...['--target', 'static-module', '--wrap', 'commonjs', '--keep-case'],
      ...['--no-create', '--no-verify', '--no-convert', '--no-delimited', '--no-typeurl', '--no-service'],
      ...['--dts', '--out', `${draft}.js`, proto],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  writeFileSync(`${draft}.js`, stripComments(readFileSync(`${draft}.js`, 'utf8')));
  writeFileSync(`${draft}.d.ts`, unionsForEnums(undeprecate(readFileSync(`${draft}.d.ts`, 'utf8'))));
  renameSync(`${draft}.js`, outputs[0]);
  renameSync(`${draft}.d.ts`, outputs[1]);
}

if (Math.min(...outputs.map(mtime)) > Math.max(...inputs.map(mtime))) {
  console.log('proto: src/proto/gen is up to date');
} else {
  const began = Date.now();
  generate();
  console.log(`proto: generated src/proto/gen/cri.{js,d.ts} in ${Date.now() - began} ms`);
}
