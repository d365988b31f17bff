import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SETTING_ROWS } from '../../../../src/migrate/mapping/table';

const ROOT = join(__dirname, '../../../..');
const SOURCES = ['inventory', 'verify'].map((name) => join(ROOT, 'src/migrate', name));

const page = readFileSync(join(ROOT, 'docs/migrating.md'), 'utf8');
const headings = new Set(
  [...page.matchAll(/^#{2,4} (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase()),
);

/** The ids in all calls of finding(), and in the tables of `verify`. */
const ids = [
  ...SOURCES.flatMap((directory) =>
    readdirSync(directory)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(directory, name)),
  ),
  join(ROOT, 'src/cli/migrate/inventory.ts'),
].flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(/(?:finding\(\s*[^,]+,\s*|\bid: )'([a-z0-9-]+)'/g)].map(
    ([, id = '']) => id,
  ),
);

/** The sections to which findings lead. */
const sections = readdirSync(join(ROOT, 'src/migrate'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .flatMap((name) => [
    ...readFileSync(join(ROOT, 'src/migrate', name), 'utf8').matchAll(/docs\/migrating\.md#([a-z-]+)/g),
  ])
  .map(([, section = '']) => section);

describe('docs/migrating.md', () => {
  it.each([...new Set(sections)])('has the section %s, to which a finding leads', (section) => {
    expect(headings).toContain(section);
    expect(sections).toEqual(expect.arrayContaining(['bridge-unit', 'target-settings', 'already-moved']));
  });

  it('is compared with the ids of all themes', () => {
    expect(ids).toEqual(
      expect.arrayContaining(['no-docker', 'docker-sock-pod', 'kubelet-endpoint', 'disk', 'verify-limits']),
    );
    expect(new Set(ids).size).toBeGreaterThan(40);
  });

  it.each([...new Set(ids)])('has a section for %s', (id) => {
    expect(headings).toContain(id);
  });

  it.each([...new Set(SETTING_ROWS.map(({ topic }) => topic)), 'settings'])(
    'has a section for the topic %s of settings',
    (topic) => {
      expect(headings).toContain(topic);
    },
  );
});
