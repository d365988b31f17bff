import { chosen, type Choice } from '../../../page/choice';
import { Payload } from '../../../page/payload';
import type { PageCall, PageRun } from '../../../src/harness/html/page-data';

/** The lines as write-page writes them. */
const written = (value: object): string => JSON.stringify(value).replaceAll('<', String.raw`\u003c`);
const LINES = [
  { t: 0, request: { image: 'busybox' } },
  { t: 1, request: { image: 'Nginx "<b>"' } },
  { t: 2, response: { image: 'nginx nginx' } },
  { t: 3, response: { id: 'c\\d' } },
  { t: 4, response: { id: 'nginx' } },
].map(written);
const payload = new Payload([
  { first: 0, text: () => LINES.slice(0, 3).join('\n') },
  { first: 3, text: () => LINES.slice(3).join('\n') },
]);
const call = (n: number, lines: number[], of: Partial<PageCall> = {}): PageCall => ({
  ...{ n, t: n, ms: 5, method: 'PullImage', status: 'OK', messages: 0, faults: [], api: 'v1' },
  ...{ pod: undefined, container: undefined, by: undefined, details: undefined, deadline_ms: undefined },
  ...{ lines, ...of },
});

it('reads the lines of a call, from whatever blocks', () => {
  expect(payload.linesOf(call(1, [1, 3, 9]))).toEqual([
    { t: 1, request: { image: 'Nginx "<b>"' } },
    { t: 3, response: { id: 'c\\d' } },
  ]);
});

it.each([
  ['in any case', 'nginx', [1, 2, 4]],
  ['once for each line', 'ginx', [1, 2, 4]],
  ['what JSON escapes', '"<b>"', [1]],
  ['a backslash', String.raw`c\d`, [3]],
  ['what means something in an expression', '.*', []],
  ['in the first line', 'busybox', [0]],
])('finds text %s', (_, text, expected) => {
  expect([...payload.find(text)]).toEqual(expected);
});

const ASK_NOTHING: Choice = { search: '', method: '', pod: '', slow: '', failed: false };
const CALLS = [
  call(1, [0]),
  call(2, [1, 2], { method: 'StartContainer', pod: 'default/web-0', ms: 900 }),
  call(3, [3], {
    method: 'ContainerStatus',
    pod: 'kube-system/dns',
    status: 'NOT_FOUND',
    details: 'No such',
  }),
  call(4, [4], { method: 'Status', status: 'open', ms: undefined, faults: ['hang'] }),
];
const RUN: PageRun = {
  ...{ source: 'a', runtime: { name: '', version: '' }, end: 10, lost: 0, problems: [] },
  ...{ calls: CALLS, states: [], events: [] },
};

it.each<[string, Partial<Choice>, number[]]>([
  ['everything', {}, [1, 2, 3, 4]],
  ['a search in messages', { search: ' nginx ' }, [2, 4]],
  ['a search in the pod', { search: 'WEB-0' }, [2]],
  ['a search in what was injected', { search: 'hang' }, [4]],
  ['a search in the details', { search: 'no such' }, [3]],
  ['a method by its pattern', { method: '*Container' }, [2]],
  ['a method by its whole name', { method: 'Status' }, [4]],
  ['a method by a part', { method: 'Contain' }, [2, 3]],
  ['a pod', { pod: 'dns' }, [3]],
  ['a pod with its namespace', { pod: 'default/*' }, [2]],
  ['slow calls', { slow: '100' }, [2]],
  ['nonsense as a time', { slow: 'x' }, [1, 2, 3, 4]],
  ['failed calls', { failed: true }, [3]],
  ['all of it', { failed: true, slow: '1', method: '*', search: 'not_found' }, [3]],
])('shows %s', (_, asked, expected) => {
  expect(chosen(RUN, payload, { ...ASK_NOTHING, ...asked }).map(({ n }) => n)).toEqual(expected);
});
