// Writes the manuals and the examples as a package has them: below one directory, with links only to files in the package.
//
//   manuals.mjs DIRECTORY           DIRECTORY becomes /usr/share/doc/dockbridge; its *.md files are still to be compressed
//   manuals.mjs --readme DIRECTORY  only README.md, for the top of a tarball, whose tree/ has the other files
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const INSTALLED = '/usr/share/doc/dockbridge';
/** Pages for people who change the code. Packages do not contain them. */
const FOR_DEVELOPERS = new Set(['architecture.md', 'conformance.md', 'results.md', 'testing.md']);
/** Maps each directory of the repository that a package also has to its path below INSTALLED. */
const COPIED = { examples: 'examples', 'packaging/monitoring': 'examples/monitoring' };

/** Maps the path of each page in the repository to its name in the package. */
const PAGES = new Map([
  ...['README.md', 'CHANGELOG.md'].map((name) => [name, `${name}.gz`]),
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md') && !FOR_DEVELOPERS.has(name))
    .map((name) => [`docs/${name}`, `${name}.gz`]),
]);

/** Returns the text with `docs/NAME.md` replaced by the page's installed path. Examples and messages of the program need this. */
export function withInstalledPages(text) {
  return text.replace(/(?<![\w/.-])docs\/[a-z-]+\.md(?!\w)/g, (path) =>
    PAGES.has(path) ? `${INSTALLED}/${PAGES.get(path)}` : path,
  );
}

/** Returns the path below INSTALLED of a file or directory of the repository; undefined if it is not in the package. */
function placeOf(path) {
  const page = PAGES.get(path);
  if (page !== undefined) return page;
  const [from, to] = Object.entries(COPIED).find(([own]) => path === own || path.startsWith(`${own}/`)) ?? [];
  return from === undefined ? undefined : to + path.slice(from.length);
}

/**
 * Returns a page of the repository as the package has it. A link to a file that is not in the package becomes plain text.
 * @param top the path from the page to the directory of the manuals.
 */
function packaged(page, top = '') {
  const linked = readFileSync(join(ROOT, page), 'utf8').replace(
    /\[((?:[^[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)/g,
    (link, label, target) => {
      if (/^([a-z][a-z+.-]*:|#)/i.test(target)) return link;
      const [path, anchor] = target.split('#');
      const place = placeOf(relative(ROOT, resolve(ROOT, dirname(page), path)));
      if (place === undefined) return label;
      const name = label.replace(/^docs\/([a-z-]+\.md)$/, '$1').replace(/^examples\/$/, 'examples');
      return `[${name}](${top}${place}${anchor === undefined ? '' : `#${anchor}`})`;
    },
  );
  // Commands and sentences in the page name files by their paths in the repository.
  return withInstalledPages(linked)
    .replace(/(?<![\w/.(-])packaging\/monitoring(?=\/)/g, `${INSTALLED}/${COPIED['packaging/monitoring']}`)
    .replace(/(?<![\w/.(-])examples(?=\/)/g, `${INSTALLED}/examples`);
}

function writeManuals(directory) {
  for (const [page, name] of PAGES) writeFileSync(join(directory, name.replace(/\.gz$/, '')), packaged(page));
  for (const [from, to] of Object.entries(COPIED)) {
    cpSync(join(ROOT, from), join(directory, to), { recursive: true });
  }
  for (const name of readdirSync(join(directory, 'examples'), { recursive: true })) {
    const file = join(directory, 'examples', name);
    if (statSync(file).isFile()) writeFileSync(file, withInstalledPages(readFileSync(file, 'utf8')));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [first, second] = process.argv.slice(2);
  if (first === '--readme')
    writeFileSync(join(second, 'README.md'), packaged('README.md', `tree${INSTALLED}/`));
  else writeManuals(first);
}
