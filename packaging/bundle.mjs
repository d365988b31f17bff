// Puts the program's own files into a directory, as packages have them: one JavaScript file for the command line, one for the
// daemon, one for all other commands, and one for each thread and helper, with source maps.
//
//   bundle.mjs DIRECTORY ABOUT   ABOUT: a directory that gets `licences`, the texts of all packages whose code is in there, and
//                                `packages.json`, which lists them
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { withInstalledPages } from './manuals.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [directory, about] = process.argv.slice(2);

/** Output → source. The program looks for the others beside the file that its own code is in, so the places are given. */
const ENTRIES = {
  main: 'src/main.ts',
  serve: 'src/cli/serve.ts',
  commands: 'commands',
  'worker-entry': 'src/logs/worker-entry.ts',
  'disk/worker-entry': 'src/stats/disk/worker-entry.ts',
  'tape/worker-entry': 'src/harness/tape/worker-entry.ts',
  'dial-helper': 'src/streaming/port-forward/dial-helper.ts',
  'open-telemetry': 'src/tracing/open-telemetry.ts',
};

/** Messages name manuals as they are called in the repository; whoever has the package finds them elsewhere. */
const installedPages = {
  name: 'installed-pages',
  setup: (builder) =>
    builder.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      if (path.includes('/node_modules/')) return undefined;
      return { contents: withInstalledPages(await readFile(path, 'utf8')), loader: 'ts' };
    }),
};

/**
 * The daemon is a file of its own, because Node.js keeps the text of each file that it has loaded in memory
 * (docs/adr/0081-small-at-rest.md). Each `import('./NAME.js')` in these files of src/cli becomes a look-up in serve.js or
 * commands.js. It becomes `require`, because Node.js keeps the text twice after `import()`.
 */
const COMMAND_LINE = ['program', 'cri-commands', 'migrate-commands'];
const commandLine = COMMAND_LINE.map((name) => join(root, `src/cli/${name}.ts`));
const imported = commandLine.flatMap((file) => [
  ...readFileSync(file, 'utf8').matchAll(/import\('(\.\/[^']+)\.js'\)/g),
]);
const commands = [...new Set(imported.map(([, name]) => name))].filter((name) => name !== './serve');

const separateFiles = {
  name: 'separate-files',
  setup: (builder) => {
    const resolveDir = join(root, 'src/cli');
    builder.onResolve({ filter: /^commands$/ }, ({ kind, path }) =>
      kind === 'entry-point' ? { path, namespace: 'commands' } : undefined,
    );
    builder.onLoad({ filter: /.*/, namespace: 'commands' }, () => ({
      contents: `module.exports = {${commands.map((name) => `'${name}.js': () => require('${name}')`).join()}};`,
      resolveDir,
    }));
    builder.onResolve({ filter: /^\.\// }, ({ kind, path, importer }) =>
      kind === 'dynamic-import' && commandLine.includes(importer)
        ? { path, namespace: 'command' }
        : undefined,
    );
    builder.onLoad({ filter: /.*/, namespace: 'command' }, ({ path }) => ({
      contents:
        path === './serve.js'
          ? `module.exports = require('./serve.js');`
          : `module.exports = require('./commands.js')['${path}']();`,
    }));
    builder.onResolve({ filter: /.*/, namespace: 'command' }, ({ path }) => ({ path, external: true }));
  },
};

/** What src/docker/load-dockerode.ts postpones is left out of packages. */
const withoutUnusedParts = {
  name: 'without-unused-parts',
  setup: (builder) => {
    builder.onLoad({ filter: /\/docker-modem\/lib\/ssh\.js$/ }, async () => ({
      contents: await readFile(join(root, 'packaging/no-ssh.cjs'), 'utf8'),
    }));
    builder.onLoad({ filter: /\/dockerode\/lib\/(session|buildkit)\.js$/ }, async () => ({
      contents: await readFile(join(root, 'packaging/no-buildkit.cjs'), 'utf8'),
    }));
    builder.onLoad({ filter: /\/src\/docker\/load-dockerode\.ts$/ }, () => ({
      contents: `exports.loadDockerode = () => require('dockerode');`,
      resolveDir: join(root, 'src/docker'),
    }));
  },
};

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: Object.entries(ENTRIES).map(([out, source]) => ({ in: source, out })),
  outdir: directory,
  bundle: true,
  platform: 'node',
  // Looked up beside main.js when a thread is started, or when calls are to be traced.
  external: ['./worker-entry', './disk/worker-entry', './tape/worker-entry', './open-telemetry.js'],
  target: 'node20.19',
  plugins: [separateFiles, withoutUnusedParts, installedPages],
  sourcemap: true,
  // Stacks and logs name classes.
  keepNames: true,
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});

// The page of `dockbridge cri show --html`, which is looked up beside the code that fills it.
execFileSync(process.execPath, [join(root, 'scripts/tape-page.mjs'), join(directory, 'tape-page.template')]);

// Only /usr/bin/dockbridge runs it, with the Node.js beside it. The line stays, for the source map counts lines.
const main = join(directory, 'main.js');
writeFileSync(main, readFileSync(main, 'utf8').replace(/^#!/, '//'));

// Sources are named from the tree's root, so that neither the builder's directory nor the place of the output shows.
for (const output of Object.keys(metafile.outputs).filter((path) => path.endsWith('.map'))) {
  const path = resolve(root, output);
  const map = JSON.parse(readFileSync(path, 'utf8'));
  map.sources = map.sources.map((source) =>
    /^commands?:/.test(source) ? source : relative(root, resolve(dirname(path), source)),
  );
  writeFileSync(path, JSON.stringify(map));
}

/** Directories of npm's packages, relative to the tree, each once. */
const packages = new Set(
  Object.keys(metafile.inputs).flatMap(
    (input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [],
  ),
);

const described = [...packages].sort().map((place) => {
  const { name, version, license } = JSON.parse(readFileSync(join(root, place, 'package.json'), 'utf8'));
  return { name, version, license, directory: place };
});

/** What a package says about its licence: the texts themselves, or at least the name. */
function licenceOf({ name, version, license, directory }) {
  const files = readdirSync(join(root, directory)).filter((file) =>
    /^(licen[cs]e|copying|notice)/i.test(file),
  );
  if (files.length === 0 && license === undefined) throw new Error(`${name} ${version} names no licence`);
  const texts = files.sort().map((file) => readFileSync(join(root, directory, file), 'utf8').trim());
  return [`${name} ${version} (${license})`, ...texts].join('\n\n');
}

writeFileSync(join(about, 'licences'), `${described.map(licenceOf).join(`\n\n${'-'.repeat(80)}\n\n`)}\n`);
writeFileSync(join(about, 'packages.json'), JSON.stringify(described));
