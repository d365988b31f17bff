import type { CallClosed } from '../../../src/harness/proxy/relay';
import type { Entry } from '../../../src/harness/tape/entry';
import { RecordingTap } from '../../../src/harness/tape/recording-tap';

const entries: Entry[] = [];
const sink = {
  nextCall: () => 1,
  now: () => performance.now() / 1000,
  write: (entry: Entry) => void entries.push(entry),
};

beforeEach(() => (entries.length = 0));
afterEach(() => jest.useRealTimers());

const tapOf = (...headers: string[]): RecordingTap =>
  new RecordingTap(sink, '/runtime.v1.RuntimeService/Version', headers);

it.each<[CallClosed['by'], number, string]>([
  ['runtime', 0, 'INTERNAL'],
  ['runtime', 2, 'INTERNAL'],
  ['proxy', 2, 'INTERNAL'],
  ['runtime', 7, 'UNAVAILABLE'],
  ['runtime', 8, 'CANCELLED'],
  ['runtime', 11, 'RESOURCE_EXHAUSTED'],
  ['runtime', 12, 'PERMISSION_DENIED'],
  ['client', 8, 'CANCELLED'],
])(
  'a call that the %s ended with the HTTP/2 code %s is recorded as %s, as a client sees it',
  (by, reset, status) => {
    tapOf().closed({ by, reset });
    expect(entries.at(-1)).toMatchObject({ kind: 'end', by, status });
  },
);

it.each<[CallClosed['by']]>([['runtime'], ['proxy']])(
  'a call that ended because the %s closed the connection is recorded as UNAVAILABLE',
  (by) => {
    tapOf().closed({ by, reset: undefined });
    expect(entries.at(-1)).toMatchObject({ kind: 'end', by, status: 'UNAVAILABLE' });
  },
);

it.each([
  [940, 'CANCELLED'],
  [960, 'DEADLINE_EXCEEDED'],
  [1_010, 'DEADLINE_EXCEEDED'],
])('a call with a deadline of a second that the client ends after %d ms is recorded as %s', (ms, status) => {
  jest.useFakeTimers();
  const tap = tapOf('grpc-timeout', '1000m');
  jest.advanceTimersByTime(ms);
  tap.closed({ by: 'client', reset: 8 });
  expect(entries.at(-1)).toMatchObject({ status });
});

it('a metadata field may have the name "constructor"', () => {
  tapOf('constructor', 'a', 'constructor', 'b').closed({ by: 'client', reset: 8 });
  const [begin] = entries;
  expect(Object.entries((begin as { metadata: object }).metadata)).toEqual([['constructor', 'a,b']]);
});
