// An ESLint rule that limits what each folder of src may import, as in CONTRIBUTING.md. It follows each
// import to its file. Unlike no-restricted-imports, it also checks types, re-exports, `import()` and
// `require()`.
import { dirname, relative, resolve, sep } from 'node:path';

/** @returns the path of a file below src, such as `server/call.ts`; undefined for any other file. */
function placeIn(cwd, file) {
  const path = relative(resolve(cwd, 'src'), file).split(sep).join('/');
  return path.startsWith('..') ? undefined : path;
}

/** Returns whether `path` is `known` or is below `known`. */
function isAt(path, known) {
  const bare = path.replace(/\.(js|ts)$/, '');
  return bare === known || bare.startsWith(`${known}/`);
}

export const importsRule = {
  meta: {
    type: 'problem',
    /**
     * `knows`: the folders that each folder may import in addition to its own files, or 'all'. `homes`: the
     * folder or folders that may import a library.
     */
    schema: [
      {
        type: 'object',
        properties: { knows: { type: 'object' }, homes: { type: 'object' } },
        required: ['knows', 'homes'],
        additionalProperties: false,
      },
    ],
  },
  create(context) {
    const { filename, cwd } = context;
    const [{ knows, homes }] = context.options;
    const place = placeIn(cwd, filename);
    if (place === undefined) return {};
    const folder = place.includes('/') ? place.slice(0, place.indexOf('/')) : '';
    const here = `src/${folder}`;

    /** @returns the error in an import of one of our own files. */
    function faultOfFile(path) {
      const target = placeIn(cwd, path);
      if (target === undefined) return 'A file of src imports only files of src.';
      const known = knows[folder];
      if (known === undefined) return `${here} has no row in eslint.config.mjs and CONTRIBUTING.md.`;
      if (known === 'all' || isAt(target, folder) || known.some((one) => isAt(target, one))) return undefined;
      return `${here} may import ${known.join(', ') || 'nothing of ours'} (CONTRIBUTING.md), not src/${target}.`;
    }

    function faultOfLibrary(name) {
      const library = Object.keys(homes).find((one) => name === one || name.startsWith(`${one}/`));
      const allowed = [homes[library] ?? folder].flat();
      if (allowed.includes(folder)) return undefined;
      return `Only ${allowed.map((home) => `src/${home}`).join(', ')} may import ${library}.`;
    }

    function check(source) {
      if (source?.type !== 'Literal' || typeof source.value !== 'string') return;
      const { value } = source;
      const isOurs = value.startsWith('.');
      const message = isOurs ? faultOfFile(resolve(dirname(filename), value)) : faultOfLibrary(value);
      if (message !== undefined) context.report({ node: source, message });
    }

    return {
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      TSImportType: (node) => check(node.source),
      TSExternalModuleReference: (node) => check(node.expression),
      'CallExpression[callee.name="require"]': (node) => check(node.arguments[0]),
      'CallExpression[callee.object.name="require"][callee.property.name="resolve"]': (node) =>
        check(node.arguments[0]),
    };
  },
};
