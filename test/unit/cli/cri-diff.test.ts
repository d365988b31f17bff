import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diff } from '../../../src/cli/cri/diff';
import type { Observation } from '../../../src/harness/observation';
import { pageDifferences } from '../../../src/harness/html/diff-page';
import { compare } from '../../../src/harness/compare/compare';
import { rulesFor } from '../../../src/harness/compare/rules';
import { FakeCri } from '../harness/support/fake-cri';
import { writeTape } from '../harness/support/tape';
import { A_RUN, B_RUN, walk } from '../harness/support/walk';

let directory: string;
let said: string[];
let printed: string;
const file = (name: string): string => join(directory, name);
const run = (options: { rules?: string; junit?: string; output?: 'text' | 'json' } = {}): Promise<number> =>
  diff(file('a.tape'), file('b.tape'), { output: 'text', image: [], ...options });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-cri-diff-'));
  said = [];
  printed = '';
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  jest.spyOn(process.stdout, 'on').mockReturnThis();
  jest.spyOn(process.stdout, 'write').mockImplementation(((text: string, done: () => void) => {
    printed += text;
    done();
    return true;
  }) as typeof process.stdout.write);
  await writeTape(file('a.tape'), walk(A_RUN));
  await writeTape(file('b.tape'), walk(B_RUN));
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(directory, { recursive: true, force: true });
});

/** Writes side B without its StopPodSandbox. */
async function withoutStop(): Promise<void> {
  const whole: Observation = walk(B_RUN);
  const calls = whole.calls.filter(({ method }) => method !== 'StopPodSandbox');
  await writeTape(file('b.tape'), { ...whole, calls });
}

it('diff exits with 0 for tapes of runtimes that behave the same', async () => {
  expect(await run()).toBe(0);
  expect(said).toEqual([]);
  expect(printed).toMatch(/\n0 differences in 0 of \d+ compared calls, 0 allowed by rules\n$/);
});

it('diff exits with 1 for a difference, which all reports contain', async () => {
  await withoutStop();
  expect(await run({ junit: file('out.xml'), output: 'json' })).toBe(1);
  expect(JSON.parse(printed)).toMatchObject({ differences: 1, a: { source: file('a.tape') } });
  expect(await readFile(file('out.xml'), 'utf8')).toContain(
    '<failure type="difference" message="StopPodSandbox.@call: only A has this call">',
  );
  expect((await stat(file('out.xml'))).mode & 0o777).toBe(0o600);
});

it('diff still prints the report when a JUnit file cannot be written, but fails', async () => {
  await withoutStop();
  expect(await run({ junit: file('no/such/out.xml') })).toBe(2);
  expect(printed).toContain('1 difference ');
  expect(said.join('')).toContain('ENOENT');
});

it("diff adds the user's rules to its own", async () => {
  await withoutStop();
  await writeFile(
    file('r.yaml'),
    'rules: [{path: StopPodSandbox.@call, as: ignore, because: kubelet does it again}]',
  );
  expect(await run({ rules: file('r.yaml') })).toBe(0);
  expect(printed).toContain(`StopPodSandbox.@call, by ${file('r.yaml')} rules[0]: kubelet does it again`);
});

it('the page of a diff shows each difference with the calls that it belongs to', () => {
  const [a, b] = [walk(A_RUN), walk(B_RUN)];
  const calls = b.calls.filter(({ method }) => method !== 'StopPodSandbox');
  const comparison = compare(a, { ...b, calls }, rulesFor(a.runtime, b.runtime));
  const { n } = a.calls.find(({ method }) => method === 'StopPodSandbox')!;
  expect(pageDifferences(comparison)).toEqual([
    {
      ...{ call: { a: n }, path: 'StopPodSandbox.@call', a: 'called', b: undefined },
      ...{ verdict: 'differs', because: 'only A has this call' },
    },
  ]);
});

describe('diff with two endpoints', () => {
  let a: FakeCri;
  let b: FakeCri;
  const steps = 'steps: [{run: web}, {status: web}, {stop: web}, {remove: web}, {list: pods}]';
  const onBoth = (scenario = file('s.yaml')): Promise<number> =>
    diff(a.endpoint, b.endpoint, { output: 'text', image: [], scenario });
  beforeEach(async () => {
    [a, b] = await Promise.all([FakeCri.start('aaaa'), FakeCri.start('bbbb')]);
    await writeFile(file('s.yaml'), `pods: [{metadata: {name: web}, labels: {app: web}}]\n${steps}\n`);
  });
  afterEach(async () => {
    await a.stop();
    await b.stop();
  });

  it('exits with 0 for the same behaviour and 1 for a difference, and leaves nothing behind', async () => {
    expect(await onBoth()).toBe(0);
    b.spoil = ({ method }, { status, ...answer }) =>
      method === 'PodSandboxStatus' ? { status: { ...(status as object), labels: {} } } : { ...answer };
    expect(await onBoth()).toBe(1);
    expect(printed).toContain('PodSandboxStatus.status.labels[app]: only A has it');
    expect([...a.left, ...b.left]).toEqual([]);
  });

  it('exits with 2 when one of them does not exist', async () => {
    b.die();
    expect(await onBoth()).toBe(2);
    expect(said.join('')).toContain(`${b.endpoint} does not answer`);
    expect(a.left).toEqual([]);
  });

  it('requires a scenario', async () => {
    expect(await diff(a.endpoint, b.endpoint, { output: 'text', image: [] })).toBe(2);
    expect(said.join('')).toContain('--scenario');
  });
});

it.each([
  ['a file that is not a tape', async () => writeFile(file('b.tape'), 'hello\n'), 'b.tape is not a tape'],
  ['a tape that does not exist', async () => rm(file('a.tape')), 'ENOENT'],
  [
    'a tape without calls',
    async () => writeTape(file('b.tape'), { ...walk(B_RUN), calls: [] }),
    'contains no call that could be compared',
  ],
  [
    'wrong rules',
    async () => writeFile(file('r.yaml'), 'rules: [{path: Image.sise, as: ignore}]'),
    'rules[0].path: Image has no field sise',
  ],
])('diff exits with 2 for %s', async (_, prepare, error) => {
  await writeFile(file('r.yaml'), 'rules: []');
  await prepare();
  expect(await run({ rules: file('r.yaml') })).toBe(2);
  expect(said.join('')).toContain(error);
  expect(printed).toBe('');
});

it('diff compares a truncated tape up to its last complete entry and reports the truncation', async () => {
  const text = await readFile(file('b.tape'), 'utf8');
  await writeFile(file('b.tape'), text.trimEnd().split('\n').slice(0, -1).join('\n') + '\n');
  expect(await run()).toBe(0);
  expect(said).toEqual([expect.stringContaining('not the end of a tape')]);
});

it('diff escapes the text of a tape before printing it to the terminal', async () => {
  await writeFile(file('\u001b]0;title\u0007.tape'), 'hello\n');
  const end = await diff(file('\u001b]0;title\u0007.tape'), file('b.tape'), { output: 'text', image: [] });
  expect({ end, said: said.join('') }).toEqual({
    end: 2,
    said: expect.stringContaining(' ]0;title .tape is not a tape') as string,
  });
  expect(said.join('').trimEnd()).not.toMatch(/\p{Cc}/u);
});
