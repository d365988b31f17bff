import { chosen, type Choice } from '../../../page/choice';
import { Payload } from '../../../page/payload';
import type { PageCall, PageRun } from '../../../src/harness/html/page-data';

/** Formats the lines as write-page does. */
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

it('payload reads the lines of a call from any block', () => {
  expect(payload.linesOf(call(1, [1, 3, 9]))).toEqual([
    { t: 1, request: { image: 'Nginx "<b>"' } },
    { t: 3, response: { id: 'c\\d' } },
  ]);
});

it.each([
  ['in upper and lower case', 'nginx', [1, 2, 4]],
  ['once for each line', 'ginx', [1, 2, 4]],
  ['that JSON escapes', '"<b>"', [1]],
  ['with a backslash', String.raw`c\d`, [3]],
  ['with characters that are special in regular expressions', '.*', []],
  ['in the first line', 'busybox', [0]],
])('payload finds text %s', (_, text, expected) => {
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
  ['calls whose messages contain the search text', { search: ' nginx ' }, [2, 4]],
  ['calls whose pod contains the search text', { search: 'WEB-0' }, [2]],
  ['calls whose injected fault contains the search text', { search: 'hang' }, [4]],
  ['calls whose details contain the search text', { search: 'no such' }, [3]],
  ['a method by its pattern', { method: '*Container' }, [2]],
  ['a method by its full name', { method: 'Status' }, [4]],
  ['a method by part of its name', { method: 'Contain' }, [2, 3]],
  ['a pod', { pod: 'dns' }, [3]],
  ['a pod with its namespace', { pod: 'default/*' }, [2]],
  ['slow calls', { slow: '100' }, [2]],
  ['all calls for an invalid time', { slow: 'x' }, [1, 2, 3, 4]],
  ['failed calls', { failed: true }, [3]],
  ['calls that pass all filters', { failed: true, slow: '1', method: '*', search: 'not_found' }, [3]],
])('filter shows %s', (_, asked, expected) => {
  expect(chosen(RUN, payload, { ...ASK_NOTHING, ...asked }).map(({ n }) => n)).toEqual(expected);
});
