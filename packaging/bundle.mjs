// Writes the program's own files to a directory, as packages have them: one JavaScript file for the command line, one for the
// daemon, one for all other commands, and one for each thread and helper, each with its source map.
//
//   bundle.mjs DIRECTORY ABOUT   ABOUT gets two files: `licences`, the texts of all packages whose code is in DIRECTORY, and
//                                `packages.json`, a list of these packages
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

/** Maps each output to its source. The outputs' names are fixed, because main.js finds the other files by their relative paths. */
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

/** Replaces the paths of manuals in messages, because a package has the manuals at other paths than the repository. */
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
  // main.js loads these files at run time, when it starts a thread or traces calls.
  external: ['./worker-entry', './disk/worker-entry', './tape/worker-entry', './open-telemetry.js'],
  target: 'node20.19',
  plugins: [separateFiles, withoutUnusedParts, installedPages],
  sourcemap: true,
  // Stack traces and logs show the names of classes.
  keepNames: true,
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});

// Writes the page of `dockbridge cri show --html` next to main.js, where the code that fills it looks for it.
execFileSync(process.execPath, [join(root, 'scripts/tape-page.mjs'), join(directory, 'tape-page.template')]);

// /usr/bin/dockbridge runs main.js with the Node.js of the package, so main.js needs no #! line. The line becomes a comment
// instead of being removed, because the source map counts lines.
const main = join(directory, 'main.js');
writeFileSync(main, readFileSync(main, 'utf8').replace(/^#!/, '//'));

// Source maps name sources by their paths from the repository's root, so that they do not depend on the directories of the build.
for (const output of Object.keys(metafile.outputs).filter((path) => path.endsWith('.map'))) {
  const path = resolve(root, output);
  const map = JSON.parse(readFileSync(path, 'utf8'));
  map.sources = map.sources.map((source) =>
    /^commands?:/.test(source) ? source : relative(root, resolve(dirname(path), source)),
  );
  writeFileSync(path, JSON.stringify(map));
}

/** The directories of the bundled npm packages, relative to the repository. */
const packages = new Set(
  Object.keys(metafile.inputs).flatMap(
    (input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [],
  ),
);

const described = [...packages].sort().map((place) => {
  const { name, version, license } = JSON.parse(readFileSync(join(root, place, 'package.json'), 'utf8'));
  return { name, version, license, directory: place };
});

/** Returns the licence texts of a package, or only the licence's name if the package has no text. */
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
