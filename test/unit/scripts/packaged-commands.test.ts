import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '../../..');

/** Returns the command with which a packaged script starts Node.js. */
const startOf = (script: string): string | undefined =>
  /^exec (\/usr\/lib\/dockbridge\/node .*)$/m.exec(
    readFileSync(join(ROOT, 'packaging', script), 'utf8'),
  )?.[1];

// With source maps on, the first formatted stack makes Node.js read and keep serve.js.map, which costs
// tens of MiB.
it.each([
  ['dockbridge.sh', '/usr/lib/dockbridge/node /usr/lib/dockbridge/main.js "$@"'],
  ['cri-dockerd/cri-dockerd.sh', '/usr/lib/dockbridge/node /usr/lib/dockbridge/main.js serve "$@"'],
])('%s starts the program without source maps', (script, start) => expect(startOf(script)).toBe(start));

it('a run from the tree has source maps on', () =>
  expect(readFileSync(join(ROOT, 'Makefile'), 'utf8')).toMatch(
    /node --enable-source-maps dist\/main\.js serve/,
  ));
