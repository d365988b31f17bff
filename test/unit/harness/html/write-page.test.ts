import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PageData } from '../../../../src/harness/html/page-data';
import { observationSource, tapeSource, type PageSource } from '../../../../src/harness/html/page-run';
import { writePage } from '../../../../src/harness/html/write-page';
import type { CallFilter } from '../../../../src/harness/show/shown-call';
import type { TapeLine } from '../../../../src/harness/tape/format';

const ALL: CallFilter = { method: undefined, pod: undefined, slowMs: undefined, failed: false };
const HOSTILE = '</script><!--<script><img src=x onerror=alert(1)>\u2028\r\n]]>';
const HEAD = {
  ...{ tape: 1, recorded: '2026-11-29T00:00:00Z', by: 'test', redacted: [] },
  upstream: { endpoint: 'unix:///run/x.sock', runtime_name: 'containerd', runtime_version: '2.1' },
};
const WEB = { metadata: { name: HOSTILE, namespace: 'default' } };
const LINES = [
  { n: 1, t: 0, method: 'RunPodSandbox', api: 'v1', request: { config: WEB } },
  { n: 2, t: 0.2, method: 'Version', api: 'v1', request: {} },
  { n: 1, t: 0.5, method: 'RunPodSandbox', status: 'OK', ms: 500, response: { pod_sandbox_id: 'p' } },
  { n: 2, t: 0.6, method: 'Version', status: 'UNKNOWN', ms: 400, details: HOSTILE },
  { t: 7, end: true, calls: 2, lost: 0 },
];

let directory: string;
let tape: string;
let page: string;
let template: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-page-'));
  [tape, page, template] = [
    join(directory, 'a.tape'),
    join(directory, 'a.html'),
    join(directory, 'template'),
  ];
  await writeFile(tape, [HEAD, ...LINES].map((line) => `${JSON.stringify(line)}\n`).join(''));
  await writeFile(template, '<body><!-- data --></body>');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Parses elements as a browser does: their text ends at the first `</script`. */
async function elements(): Promise<{ attributes: string; text: string }[]> {
  const html = await readFile(page, 'utf8');
  const found = [...html.matchAll(/<script ([^>]*)>(.*?)<\/script/gs)].map(
    ([, attributes = '', text = '']) => ({
      attributes,
      text,
    }),
  );
  const rest = html.replace(/<script ([^>]*)>(.*?)<\/script>/gs, '').trim();
  expect(rest).toMatch(/^<body>\s*<\/body>$/);
  return found;
}

async function written(): Promise<{ data: PageData; lines: TapeLine[][] }> {
  const found = await elements();
  const index = found.find(({ attributes }) => attributes.includes('id="index"'));
  const data = JSON.parse(index!.text) as PageData;
  const lines = data.runs.map((_, at) =>
    found
      .filter(({ attributes }) => attributes.includes(`data-run="${at}"`))
      .flatMap(({ text }) => text.split('\n').map((line) => JSON.parse(line) as TapeLine)),
  );
  return { data, lines };
}

it("a page contains the calls and the tape's lines for each", async () => {
  await writePage(page, [await tapeSource(tape, ALL)], [], template);
  const { data, lines } = await written();
  expect(data.differences).toEqual([]);
  expect(data.runs).toHaveLength(1);
  expect(data.runs[0]).toMatchObject({
    ...{ source: tape, endpoint: 'unix:///run/x.sock', runtime: { name: 'containerd', version: '2.1' } },
    ...{ recorded: HEAD.recorded, end: 7, lost: 0, problems: [] },
    calls: [
      { n: 1, method: 'RunPodSandbox', pod: `default/${HOSTILE}`, status: 'OK', lines: [0, 2] },
      { n: 2, method: 'Version', status: 'UNKNOWN', details: HOSTILE, lines: [1, 3] },
    ],
    states: [{ id: 'p', of: 'sandbox', state: 'running', pod: `default/${HOSTILE}` }],
  });
  expect(lines).toEqual([LINES.slice(0, 4)]);
});

it('no text of a tape can end the script element that contains it', async () => {
  await writePage(page, [await tapeSource(tape, ALL)], [], template);
  for (const { text } of await elements()) expect(text).not.toContain('<');
});

it('a page contains the messages of only the requested calls', async () => {
  await writePage(page, [await tapeSource(tape, { ...ALL, failed: true })], [], template);
  const { data, lines } = await written();
  expect(data.runs[0]!.calls).toMatchObject([{ n: 2, lines: [0, 1] }]);
  expect(lines[0]!.map((line) => 'n' in line && line.n)).toEqual([2, 2]);
  // The states of all pods stay, because they show what was slow.
  expect(data.runs[0]!.states).toHaveLength(1);
});

it('a page splits long runs into many elements', async () => {
  const long = 'x'.repeat(300_000);
  const calls = [1, 2, 3, 4, 5].flatMap((n) => [
    { n, t: n, method: 'Status', request: { long } },
    { n, t: n, method: 'Status', status: 'OK', ms: 1 },
  ]);
  await writeFile(tape, [HEAD, ...calls].map((line) => `${JSON.stringify(line)}\n`).join(''));
  await writePage(page, [await tapeSource(tape, ALL)], [], template);
  const blocks = (await elements()).filter(({ attributes }) => attributes.includes('data-run'));
  expect(blocks.map(({ attributes }) => /data-first="(\d+)"/.exec(attributes)?.[1])).toEqual(['0', '3', '7']);
  expect((await written()).data.runs[0]!.calls.map(({ lines }) => lines)).toEqual(
    [0, 2, 4, 6, 8].map((first) => [first, first + 1]),
  );
});

it('a page shows two runs and their differences', async () => {
  const call = {
    n: 7,
    t: 1,
    ms: 20,
    method: 'Version',
    request: {},
    status: 'OK',
    response: { version: 'b' },
  };
  const other = observationSource({
    source: 'unix:///b',
    runtime: { name: 'b', version: '1' },
    calls: [call, { ...call, n: 9, method: 'GetContainerEvents', messages: [{ container_id: 'c' }] }],
  });
  const difference = {
    call: { a: 2, b: 7 },
    path: 'version',
    a: 'x',
    b: HOSTILE,
    verdict: 'differs',
  } as const;
  await writePage(page, [await tapeSource(tape, ALL), other], [difference], template);
  const { data, lines } = await written();
  expect(data.differences).toEqual([difference]);
  expect(data.runs[1]).toMatchObject({
    ...{ source: 'unix:///b', end: 1.02, events: [{ id: 'c', type: 'created' }] },
    calls: [
      { n: 7, t: 1, ms: 20, lines: [0, 1] },
      { n: 9, messages: 1, lines: [2, 3, 4] },
    ],
  });
  expect(lines[1]).toHaveLength(5);
});

it('a page is readable by its owner only, and overwrites no file', async () => {
  const source = await tapeSource(tape, ALL);
  await writePage(page, [source], [], template);
  expect((await stat(page)).mode & 0o777).toBe(0o600);
  const before = await readFile(page, 'utf8');
  await expect(writePage(page, [source], [], template)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await readFile(page, 'utf8')).toBe(before);
});

it('an unfinished page is removed', async () => {
  const source: PageSource = {
    ...(await tapeSource(tape, ALL)),
    lines: () => {
      throw new Error('the disk is gone');
    },
  };
  await expect(writePage(page, [source], [], template)).rejects.toThrow('the disk is gone');
  await expect(stat(page)).rejects.toMatchObject({ code: 'ENOENT' });
});

it('a page requires a regular file as the tape, because the tape is read twice', async () => {
  await expect(tapeSource('/dev/null', ALL)).rejects.toThrow(
    '/dev/null: a page can only be made from a regular file',
  );
});
