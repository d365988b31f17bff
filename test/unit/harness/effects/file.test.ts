import { readSeen, writeSeen } from '../../../../src/harness/effects/file';
import type { SeenRuntime } from '../../../../src/harness/effects/effect';

const SEEN: SeenRuntime = {
  source: 'unix:///run/x.sock',
  runtime: { name: 'containerd', version: 'v2.1.4' },
  containers: [
    {
      container: 'plain/first',
      effects: new Map<string, string | string[]>([
        ['uid', '0'],
        ['groups', ['0', '1']],
      ]),
    },
  ],
};

it('a written file is read back unchanged', () => {
  expect(readSeen(writeSeen(SEEN), 'x')).toEqual(SEEN);
});

it.each([
  ['{', 'x: is not JSON'],
  ['{"tape":1}', 'x: is not a file of dockbridge cri effects'],
  ['null', 'x: is not a file of dockbridge cri effects'],
  [writeSeen(SEEN).replace('"effects": 1', '"effects": 2'), 'x: has version 2'],
  [writeSeen(SEEN).replace('"uid": "0"', '"uid": 0'), 'x: is not a file of dockbridge cri effects'],
  [writeSeen(SEEN).replace('"container": "plain/first",', ''), 'x: is not a file of dockbridge cri effects'],
  [writeSeen({ ...SEEN, containers: [] }), 'x: has no containers, or a container without effects'],
  [
    writeSeen({ ...SEEN, containers: [{ container: 'plain/first', effects: new Map() }] }),
    'x: has no containers, or a container without effects',
  ],
])('an invalid file is refused: %#', (text, why) => {
  expect(() => readSeen(text, 'x')).toThrow(why);
});
