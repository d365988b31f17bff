// Generates src/proto/gen/cri.js and cri.d.ts from proto/runtime/v1/api.proto, and does nothing when they are
// up to date. The options --no-… switch off code that dockbridge never calls and that would double the
// file. descriptors.js lists what the codecs lack: the fields of each message and the methods of each
// service (src/proto/descriptors.ts). containerd.js and containerd.d.ts are generated from proto/containerd,
// and only `dockbridge migrate images` loads them.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const proto = join(root, 'proto/runtime/v1/api.proto');
const containerd = readdirSync(join(root, 'proto/containerd')).map((name) =>
  join(root, 'proto/containerd', name),
);
const cli = join(root, 'node_modules/protobufjs-cli');
const out = join(root, 'src/proto/gen');
const endings = [
  'cri.js',
  'cri.d.ts',
  'descriptors.js',
  'descriptors.d.ts',
  'containerd.js',
  'containerd.d.ts',
];
const outputs = endings.map((name) => join(out, name));
const inputs = [proto, ...containerd, self, join(cli, 'package.json')];

function mtime(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * Removes the marks with which pbjs deprecates its own short names (IContainer), because our code uses
 * these names and lint would object.
 */
function undeprecate(types) {
  return types.replace(/^ *\* @deprecated Use \S+ instead\.\n/gm, '');
}

/**
 * Replaces enums by unions of numbers, which describe the same run-time objects. TypeScript's enums are
 * nominal, so each number of src/proto/enums.ts (which loads no codecs) would need a cast.
 */
function unionsForEnums(types) {
  return types.replace(/^( *)enum (\w+) \{\n([\s\S]*?)^\1\}/gm, (_, indent, name, body) => {
    const values = [...body.matchAll(/(\w+) = (\d+)/g)].map(
      ([, key, number]) => `readonly ${key}: ${number};`,
    );
    return `${indent}const ${name}: { ${values.join(' ')} };\n${indent}type ${name} = (typeof ${name})[keyof typeof ${name}];`;
  });
}

/**
 * Removes the comments. pbjs must write them, because it makes the d.ts from them, but in the JavaScript
 * they would be a third of the file.
 */
function stripComments(code) {
  return code.replace(/^ *\/\*\*[\s\S]*?\*\/\n/gm, '');
}

/** Returns the name of a message or enum without its package, such as `SecurityProfile.ProfileType` for a nested one. */
function nameOf(type) {
  return type.fullName.replace(/^\.runtime\.v1\./, '');
}

/** Returns the row of one field, in the order of `FieldRow` in src/proto/descriptors.ts. */
function fieldRow(field) {
  const { id, name, repeated, map, options, resolvedType } = field.resolve();
  const kind = map ? 'map' : repeated ? 'list' : 'one';
  const type = resolvedType === null ? field.type : nameOf(resolvedType);
  return [id, name, type, kind, ...(options?.debug_redact === true ? [true] : [])];
}

function descriptors() {
  const root = new protobuf.Root().loadSync(proto, { keepCase: true });
  const [messages, enums, services] = [{}, {}, {}];
  const visit = (scope) => {
    for (const one of scope.nestedArray) {
      if (one instanceof protobuf.Type) messages[nameOf(one)] = one.fieldsArray.map(fieldRow);
      if (one instanceof protobuf.Enum) enums[nameOf(one)] = one.valuesById;
      if (one instanceof protobuf.Service)
        services[nameOf(one)] = Object.fromEntries(
          one.methodsArray.map((method) => {
            method.resolve();
            const names = [nameOf(method.resolvedRequestType), nameOf(method.resolvedResponseType)];
            return [method.name, [...names, method.responseStream === true]];
          }),
        );
      if (one instanceof protobuf.Namespace) visit(one);
    }
  };
  visit(root);
  return { messages, enums, services };
}

const DESCRIPTOR_TYPES = `import type { Descriptors } from '../descriptors';
declare const descriptors: Descriptors;
export = descriptors;
`;

/** Writes the codecs for the messages in these files to DRAFT.js and DRAFT.d.ts. */
function codecs(draft, files) {
  execFileSync(
    process.execPath,
    [
      join(cli, 'bin/pbjs'),
      ...['--target', 'static-module', '--wrap', 'commonjs', '--keep-case'],
      ...['--no-create', '--no-verify', '--no-convert', '--no-delimited', '--no-typeurl', '--no-service'],
      ...['--dts', '--out', `${draft}.js`, ...files],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  writeFileSync(`${draft}.js`, stripComments(readFileSync(`${draft}.js`, 'utf8')));
  writeFileSync(`${draft}.d.ts`, unionsForEnums(undeprecate(readFileSync(`${draft}.d.ts`, 'utf8'))));
}

function generate() {
  mkdirSync(out, { recursive: true });
  // A simultaneous run (a second `make`, a watching test) must never see half a file, so each file is
  // written as a draft and then renamed.
  const draft = join(out, `draft-${process.pid}`);
  codecs(`${draft}.cri`, [proto]);
  codecs(`${draft}.containerd`, containerd);
  writeFileSync(`${draft}.descriptors.js`, `module.exports = ${JSON.stringify(descriptors())};\n`);
  writeFileSync(`${draft}.descriptors.d.ts`, DESCRIPTOR_TYPES);
  for (const [at, ending] of endings.entries()) renameSync(`${draft}.${ending}`, outputs[at]);
}

if (Math.min(...outputs.map(mtime)) > Math.max(...inputs.map(mtime))) {
  console.log('proto: src/proto/gen is up to date');
} else {
  const began = Date.now();
  generate();
  console.log(
    `proto: generated src/proto/gen/{cri,descriptors,containerd}.{js,d.ts} in ${Date.now() - began} ms`,
  );
}
