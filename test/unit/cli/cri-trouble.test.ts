import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diff } from '../../../src/cli/cri/diff';
import { replay } from '../../../src/cli/cri/replay';
import { show } from '../../../src/cli/cri/show';
import { FakeCri } from '../harness/support/fake-cri';
import { recorded, walk } from '../harness/support/replay-walk';

let fake: FakeCri;
let directory: string;
/** A tape of the fake runtime, as it was recorded. */
let whole: string;
let said: string;
let printed: string;
const file = (name: string): string => join(directory, name);

/** The commands that read a tape. Each function runs one and returns its exit code. */
const COMMANDS: Readonly<Record<string, (tape: string) => Promise<number>>> = {
  show: async (tape) => show(tape, { failed: false, output: 'text' }),
  diff: async (tape) => diff(file('whole.tape'), tape, { output: 'text', image: [] }),
  replay: async (tape) =>
    replay(tape, {
      ...{ to: fake.endpoint, speed: 'max', image: [], wait: '100ms', incomplete: false, output: 'text' },
      scratch: file('scratch'),
    }),
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-cri-trouble-'));
  const runtime = await FakeCri.start();
  const tape = await recorded(runtime, async (call) => walk(call, 'web'));
  whole = await readFile(tape, 'utf8');
  await writeFile(file('whole.tape'), whole);
  await runtime.stop();
});
afterAll(() => rm(directory, { recursive: true, force: true }));

beforeEach(async () => {
  fake = await FakeCri.start();
  [said, printed] = ['', ''];
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => (said += String(text)) !== '');
  jest.spyOn(process.stdout, 'on').mockReturnThis();
  jest.spyOn(process.stdout, 'write').mockImplementation(((text: string, done: () => void) => {
    printed += text;
    done();
    return true;
  }) as typeof process.stdout.write);
});
afterEach(async () => {
  jest.restoreAllMocks();
  await fake.stop();
});

const lines = (): string[] => whole.trimEnd().split('\n');
const joined = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('');
/** The line as a later version of dockbridge may write it. */
const withMore = (line: string): string =>
  JSON.stringify({ ...(JSON.parse(line) as object), later: { field: [1] } });

/** A tape, what all three commands say about it, and the exit codes of show, diff and replay. */
const TAPES: readonly (readonly [
  what: string,
  text: () => string,
  says: string,
  codes: [number, number, number],
])[] = [
  ['a whole tape', () => whole, '', [0, 0, 0]],
  ['a tape with fields of a later version', () => joined(lines().map(withMore)), '', [0, 0, 0]],
  [
    'a tape without its last line',
    () => joined(lines().slice(0, -1)),
    'is the last line but not the end of a tape',
    [1, 0, 2],
  ],
  ['a tape that ends in the middle of a line', () => whole.trimEnd().slice(0, -9), 'is cut', [1, 0, 2]],
  [
    'a tape with a line that is not JSON',
    () => joined(lines().toSpliced(2, 0, '{"n":\u0000')),
    'line 3 is not a JSON object',
    [1, 0, 2],
  ],
  [
    'a tape with a line of something else',
    () => joined(lines().toSpliced(2, 0, '{"level":"info"}')),
    'line 3 is not a line of a tape',
    [1, 0, 2],
  ],
  [
    'a tape of a later version',
    () => whole.replace('{"tape":1,', '{"tape":2,'),
    'is a tape of version 2, but this dockbridge reads version 1',
    [2, 2, 2],
  ],
  ['a tape whose head is cut', () => lines()[0]!.slice(0, 20), 'is not a tape', [2, 2, 2]],
  ['a file of something else', () => 'apiVersion: v1\nkind: Pod\n', 'is not a tape', [2, 2, 2]],
  ['an empty file', () => '', 'is empty: it is not a tape', [2, 2, 2]],
];

describe.each(TAPES)('%s', (_, text, says, [ofShow, ofDiff, ofReplay]) => {
  it.each([
    ['show', ofShow],
    ['diff', ofDiff],
    ['replay', ofReplay],
  ])('makes %s exit with %d', async (name, code) => {
    await writeFile(file('b.tape'), text());
    expect(await COMMANDS[name]!(file('b.tape'))).toBe(code);
    if (says !== '') expect(said).toContain(says);
    else expect(said).not.toMatch(/line \d|a tape/);
    // A tape that cannot be used changes nothing on the endpoint, and yields no report.
    expect(code === 2 ? [fake.calls, printed] : fake.left).toEqual(code === 2 ? [[], ''] : []);
  });
});

it.each(Object.keys(COMMANDS))('a tape that is not there makes %s exit with 2', async (name) => {
  expect(await COMMANDS[name]!(file('no.tape'))).toBe(2);
  expect(said).toContain(`ENOENT: no such file or directory, open '${file('no.tape')}'`);
});

it('a directory in place of a tape makes show exit with 2', async () => {
  expect(await COMMANDS.show!(directory)).toBe(2);
  expect(said).toContain('EISDIR');
});

it('a field that only one side knows is a difference', async () => {
  const unknown = (value: string): string =>
    whole.replace('"response":{"pod_sandbox_id"', `"response":{"@unknown":["${value}"],"pod_sandbox_id"`);
  await writeFile(file('b.tape'), unknown('+gYDbmV3'));
  expect(await COMMANDS.diff!(file('b.tape'))).toBe(1);
  expect(printed).toContain('RunPodSandbox.@unknown');
  expect(await COMMANDS.show!(file('b.tape'))).toBe(0);
});

describe('an endpoint that vanishes in the middle', () => {
  /** The runtime dies when it gets this call. From then on the clock runs fast, because the commands wait 30 s for its return. */
  const dieAt = (method: string): void => {
    fake.onCall = (call) => {
      if (call.method !== method) return;
      fake.die();
      const now = performance.now.bind(performance);
      const died = now();
      jest.spyOn(performance, 'now').mockImplementation(() => died + (now() - died) * 100);
    };
  };

  it('makes replay exit with 2 and name what is left behind', async () => {
    dieAt('StartContainer');
    expect(await COMMANDS.replay!(file('whole.tape'))).toBe(2);
    expect(said).toMatch(new RegExp(`left behind on ${fake.endpoint}: .*web`));
  });

  it('makes diff exit with 2 and name what is left behind', async () => {
    const other = await FakeCri.start();
    await writeFile(
      file('s.yaml'),
      'pods: [{metadata: {name: web}}]\nsteps: [{run: web}, {status: web}, {stop: web}, {remove: web}]\n',
    );
    dieAt('PodSandboxStatus');
    const code = await diff(other.endpoint, fake.endpoint, {
      ...{ output: 'text', image: [], scenario: file('s.yaml') },
    });
    expect([code, other.left, printed]).toEqual([2, [], '']);
    expect(said).toMatch(new RegExp(`left behind on ${fake.endpoint}: .*web`));
    await other.stop();
  });
});
