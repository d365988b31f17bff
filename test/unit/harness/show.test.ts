import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallFilter } from '../../../src/harness/show/shown-call';
import { showTape } from '../../../src/harness/show/show';

const ALL: CallFilter = { method: undefined, pod: undefined, slowMs: undefined, failed: false };
const WEB = { metadata: { name: 'web-0', namespace: 'default' } };

const HEAD = {
  ...{ tape: 1, recorded: '2026-11-29T00:00:00Z', by: 'test', redacted: [] },
  upstream: { endpoint: 'unix:///run/x.sock', runtime_name: 'containerd', runtime_version: '2.1' },
};
const LINES = [
  { n: 1, t: 0, method: 'RunPodSandbox', api: 'v1', request: { config: WEB } },
  { n: 1, t: 0.5, method: 'RunPodSandbox', status: 'OK', ms: 500, response: { pod_sandbox_id: 'p' } },
  {
    ...{ n: 2, t: 1, method: 'CreateContainer', api: 'v1' },
    request: { pod_sandbox_id: 'p', config: { metadata: { name: 'main' } } },
  },
  { n: 2, t: 1.1, method: 'CreateContainer', status: 'OK', ms: 100, response: { container_id: 'c' } },
  { n: 3, t: 2, method: 'GetContainerEvents', api: 'v1' },
  { n: 3, t: 2.5, method: 'GetContainerEvents', i: 0, message: { container_id: 'c' } },
  { n: 4, t: 3, method: 'StartContainer', api: 'v1', request: { container_id: 'c' }, deadline_ms: 2000 },
  { n: 4, t: 3, method: 'StartContainer', fault: 'hang', rule: 0 },
  { n: 4, t: 5, method: 'StartContainer', status: 'DEADLINE_EXCEEDED', ms: 2000, by: 'client' },
  { t: 5, lost: 2 },
  { n: 6, t: 6, method: 'Status', status: 'UNKNOWN', ms: 4, details: 'bad\u001b[31m\nnews' },
  { n: 7, t: 6.5, method: 'Version', api: 'v1alpha2' },
  { n: 7, t: 6.502, method: 'Version', status: 'OK', ms: 2, response: {} },
  { t: 7, end: true, calls: 7, lost: 2 },
];

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-show-'));
  file = join(directory, 'a.tape');
  await writeFile(file, [HEAD, ...LINES].map((line) => `${JSON.stringify(line)}\n`).join(''));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('show prints the timeline and the table', async () => {
  const { text, problems } = await showTape(file, ALL, 'text');
  expect(problems).toEqual([`${file}: 2 lines are missing, because the recording lost them`]);
  expect(text).toBe(
    [
      'Recorded 2026-11-29T00:00:00Z from unix:///run/x.sock (containerd 2.1): 6 calls, 2 lines lost',
      '',
      'SECOND  METHOD              POD            CONTAINER  MS    STATUS             ',
      '0.000   RunPodSandbox       default/web-0  -          500   OK                 ',
      '1.000   CreateContainer     default/web-0  main       100   OK                 ',
      '2.000   GetContainerEvents  -              -          -     open               1 message; its end is not on the tape',
      '3.000   StartContainer      default/web-0  main       2000  DEADLINE_EXCEEDED  injected: hang; ended by the client; deadline 2000 ms',
      '5.996   Status              -              -          4.00  UNKNOWN            bad [31m news',
      '6.500   Version (v1alpha2)  -              -          2.00  OK                 ',
      '',
      'METHOD              CALLS  FAILED  P50 MS  P90 MS  P99 MS  MAX MS',
      'StartContainer      1      1       2000    2000    2000    2000',
      'RunPodSandbox       1      0       500     500     500     500',
      'CreateContainer     1      0       100     100     100     100',
      'Status              1      1       4.00    4.00    4.00    4.00',
      'Version             1      0       2.00    2.00    2.00    2.00',
      'GetContainerEvents  1      0       -       -       -       -',
      '',
    ].join('\n'),
  );
});

it.each<[string, Partial<CallFilter>, number[]]>([
  ['method', { method: '*Container' }, [2, 4]],
  ['pod', { pod: 'web-*' }, [1, 2, 4]],
  ['pod with its namespace', { pod: 'kube-system/*' }, []],
  ['duration', { slowMs: 500 }, [1, 4]],
  ['failure', { failed: true }, [4, 6]],
  ['all filters together', { pod: 'web-0', failed: true, slowMs: 1, method: 'Start*' }, [4]],
])('show filters by %s', async (_, filter, expected) => {
  const { text } = await showTape(file, { ...ALL, ...filter }, 'json');
  const { calls, methods } = JSON.parse(text) as {
    calls: { n: number; method: string }[];
    methods: object[];
  };
  expect(calls.map(({ n }) => n)).toEqual(expected);
  expect(methods).toHaveLength(new Set(calls.map(({ method }) => method)).size);
});

it('percentiles are the times that calls took', async () => {
  const calls = Array.from({ length: 100 }, (_, at) => [
    { n: at, t: at, method: 'Status' },
    { n: at, t: at + 0.5, method: 'Status', status: 'OK', ms: 100 - at },
  ]).flat();
  await writeFile(file, [HEAD, ...calls].map((line) => `${JSON.stringify(line)}\n`).join(''));
  const { text, problems } = await showTape(file, ALL, 'json');
  expect(problems).toEqual([
    `${file}: line 201 is the last line but not the end of a tape: the tape was cut off, is still being recorded, or its recorder was killed`,
  ]);
  const { methods } = JSON.parse(text) as { methods: object[] };
  expect(methods).toEqual([{ method: 'Status', calls: 100, failed: 0, p50: 50, p90: 90, p99: 99, max: 100 }]);
});

it.each([
  [
    'the last line has a higher number',
    [{ t: 1, lost: 2 }],
    5,
    5,
    '5 lines are missing, because the recording lost them',
  ],
  [
    'the last line has a lower number',
    [
      { t: 1, lost: 2 },
      { t: 2, lost: 4 },
    ],
    5,
    6,
    '6 lines are missing, because the recording lost them',
  ],
  ['no line gives the place', [], 1, 1, '1 line is missing, because the recording lost it'],
])('lost lines are a problem: %s', async (_, lines, sum, expected, message) => {
  const all = [HEAD, ...lines, { t: 9, end: true, calls: 0, lost: sum }];
  await writeFile(file, all.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const { text, problems } = await showTape(file, ALL, 'json');
  expect(JSON.parse(text)).toMatchObject({ lost: expected });
  expect(problems).toEqual([`${file}: ${message}`]);
});

it('no text of a tape reaches the terminal as a control sequence', async () => {
  const bad = 'a\u001b[2J\u009b5A\nb';
  const pod = { config: { metadata: { name: bad, namespace: bad } } };
  const all = [
    { ...HEAD, recorded: bad, upstream: { endpoint: bad, runtime_name: bad, runtime_version: bad } },
    { n: 1, t: 0, method: bad, api: bad, request: pod },
    { n: 1, t: 0, fault: bad, rule: 0 },
    { n: 1, t: 1, method: bad, status: bad, ms: 5, by: bad, details: bad },
    { t: 9, end: true, calls: 1, lost: 0 },
  ];
  await writeFile(file, all.map((line) => `${JSON.stringify(line)}\n`).join(''));
  for (const output of ['text', 'json'] as const) {
    const { text, problems } = await showTape(file, ALL, output);
    expect(problems).toEqual([]);
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(text).toContain('5A');
  }
  const { text } = await showTape(file, ALL, 'text');
  expect(text.trimEnd().split('\n')).toHaveLength(7);
});
