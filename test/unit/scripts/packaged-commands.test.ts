import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '../../..');

/** The Node.js that a packaged command starts, with everything that it is given. */
const startOf = (script: string): string | undefined =>
  /^exec (\/usr\/lib\/dockbridge\/node .*)$/m.exec(
    readFileSync(join(ROOT, 'packaging', script), 'utf8'),
  )?.[1];

// With source maps on, the first stack that is formatted makes Node.js read main.js.map, and keep it: 70 MiB more.
it.each([
  ['dockbridge.sh', '/usr/lib/dockbridge/node /usr/lib/dockbridge/main.js "$@"'],
  ['cri-dockerd/cri-dockerd.sh', '/usr/lib/dockbridge/node /usr/lib/dockbridge/main.js serve "$@"'],
])('%s starts the program without source maps', (script, start) => expect(startOf(script)).toBe(start));

it('a run from the tree has source maps on', () =>
  expect(readFileSync(join(ROOT, 'Makefile'), 'utf8')).toMatch(
    /node --enable-source-maps dist\/main\.js serve/,
  ));
