import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const ROOT = join(__dirname, '../../..');
/** Folders of the tree with files that others wrote or that a build makes. */
const SKIPPED = new Set(['node_modules', 'dist', 'packages', 'coverage', '.git']);

function filesBelow(directory: string, ending: RegExp): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : filesBelow(path, ending);
    return entry.isFile() && ending.test(entry.name) ? [path] : [];
  });
}

/** Returns the text without code blocks, code spans and comments, because links in those are not followed. */
function proseOf(markdown: string): string {
  return markdown
    .replace(/<!--.*?-->/gs, '')
    .replace(/^( *)(```|~~~)[^\n]*\n.*?^\1\2 *$/gms, '')
    .replace(/\n\n(?: {4}[^\n]*\n+)+/g, '\n\n')
    .replace(/(`+)[^`].*?\1/gs, '');
}

/** Returns the anchor that GitHub gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
    .replaceAll(' ', '-');
}

function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  const withoutFences = markdown.replace(/^( *)(```|~~~)[^\n]*\n.*?^\1\2 *$/gms, '');
  for (const [, heading = ''] of withoutFences.matchAll(/^#{1,6} +(.*)$/gm)) {
    const anchor = anchorOf(heading);
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

/** Returns the errors in the links of one page. Links to other hosts are not followed. */
function deadLinks(file: string): string[] {
  const prose = proseOf(readFileSync(file, 'utf8'));
  const inline = [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)];
  const definitions = [...prose.matchAll(/^ {0,3}\[[^\]]+\]: *<?(\S+?)>?(?: .*)?$/gm)];
  return [...inline, ...definitions]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target))
    .flatMap((target) => {
      const [path = '', anchor] = target.split('#');
      const named = path === '' ? file : resolve(dirname(file), decodeURIComponent(path));
      if (relative(ROOT, named).startsWith('..')) return [`${target} leads out of the repository`];
      if (!existsSync(named)) return [`${target} does not exist`];
      if (anchor === undefined) return [];
      if (!statSync(named).isFile() || !named.endsWith('.md')) return [`${target} has no headings`];
      return anchorsOf(readFileSync(named, 'utf8')).has(anchor) ? [] : [`${target} names no heading`];
    });
}

const PAGES = filesBelow(ROOT, /\.md$/);
const nameOf = (file: string): string => relative(ROOT, file);

describe('Markdown pages', () => {
  it('exist', () => {
    expect(PAGES.map(nameOf)).toEqual(expect.arrayContaining(['README.md', 'docs/logs.md']));
  });

  it.each(PAGES.map(nameOf))('have no dead link: %s', (name) => {
    expect(deadLinks(join(ROOT, name))).toEqual([]);
  });

  it('have the anchors that GitHub gives them', () => {
    const page = ['# Go back: `x` (now)', '## 5. Go back', '## 5. Go back', '```', '# no heading', '```'];
    expect([...anchorsOf(page.join('\n'))]).toEqual(['go-back-x-now', '5-go-back', '5-go-back-1']);
  });
});

describe('an index', () => {
  it.each([
    ['README.md', 'docs'],
    ['docs/adr/README.md', 'docs/adr'],
  ])('in %s links every page of %s', (index, folder) => {
    const text = readFileSync(join(ROOT, index), 'utf8');
    const pages = readdirSync(join(ROOT, folder)).filter((name) => /^(?!README).*\.md$/.test(name));
    const linked = (name: string): boolean =>
      text.includes(`](${relative(dirname(index), join(folder, name))})`);
    expect(pages.filter((name) => !linked(name))).toEqual([]);
  });
});

describe('decision pages', () => {
  const decisions = readdirSync(join(ROOT, 'docs/adr')).filter((name) => /^\d{4}-/.test(name));
  const numbers = decisions.map((name) => name.slice(0, 4));

  it('have unique numbers', () => {
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  it.each(decisions)('have a number, a decision as the title, a status and a date: %s', (name) => {
    const [title, , status] = readFileSync(join(ROOT, 'docs/adr', name), 'utf8').split('\n');
    expect(title).toMatch(new RegExp(`^# ${name.slice(0, 4)}\\. \\S`));
    expect(status).toMatch(
      /^Status: (accepted|superseded by \[\d{4}\]\(.*\))\. Date: \d{4}-\d\d-\d\d\.( |$)/,
    );
  });

  it('exist wherever sources, tests and pages name them', () => {
    const sources = ['src', 'test', 'scripts', 'docs', 'packaging'].flatMap((folder) =>
      filesBelow(join(ROOT, folder), /\.(ts|mjs|cjs|sh|md|go)$/),
    );
    const named = /ADR (\d{4})|docs\/adr\/(\d{4}[\w-]*(?:\.md)?)/g;
    const unknown = sources.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(named)]
        .filter(([, number, path = '']) =>
          path.endsWith('.md') ? !decisions.includes(path) : !numbers.includes(number ?? path.slice(0, 4)),
        )
        .map(([text]) => `${nameOf(file)}: ${text}`),
    );
    expect(unknown).toEqual([]);
  });
});
