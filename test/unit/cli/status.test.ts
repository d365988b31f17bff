import { age, asJson, bytes, renderStatus } from '../../../src/cli/status';
import type { StatusReport } from '../../../src/server/status-report';

const ID = 'ab'.repeat(32);

const WELL: StatusReport = {
  ...{ version: '1.2.3', pid: 812, uptime: 273_600, refuses: '' },
  engine: {
    ...{ state: 'connected', reason: '', since: 3_725 },
    ...{ version: '28.5.2', apiVersion: '1.51', storageDriver: 'overlay2' },
  },
  network: { ready: true, reason: '', message: '', left: 0, failures: {} },
  logs: { trouble: '', followed: 12, lagBytes: 0, gaps: 0, stalls: 0, unreadable: 0 },
  sandboxes: { ready: 10, notready: 2 },
  containers: { created: 0, running: 11, exited: 3, unknown: 0 },
  ...{ images: 20, sessions: 1, eventConsumers: 1 },
  calls: { inFlight: 0, oldest: [], engine: [] },
  process: { residentBytes: 96 * 1024 ** 2, openFiles: 100, fileLimit: 1_048_576 },
};

const marked = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('!'));

describe('the screen of dockbridge status', () => {
  it('shows everything on a healthy node and marks nothing', () => {
    expect(renderStatus(WELL)).toBe(
      `  dockbridge  1.2.3, process 812, up 3d 4h, 96.0 MiB resident
  Engine      Docker 28.5.2 (API 1.51, overlay2), connected for 1h 2m
  network     ready
  logs        12 followed, 0 B behind
  pods        10 ready, 2 not ready
  containers  0 created, 11 running, 3 exited, 0 unknown; 20 images
  streams     1 session of exec, attach and port-forward; 1 client listens to events

No CRI call is in flight.
No call to the Engine is in flight.
`,
    );
  });

  it('marks what is in trouble, with the reason', () => {
    const text = renderStatus({
      ...WELL,
      refuses: 'the node was handed over',
      engine: { ...WELL.engine, state: 'away', reason: 'connect ECONNREFUSED' },
      network: { ready: false, reason: 'NoConfig', message: 'none', left: 3, failures: { 'bridge ADD': 4 } },
      logs: {
        ...WELL.logs,
        trouble: 'the disk hangs',
        lagBytes: 3_000_000,
        gaps: 2,
        stalls: 1,
        unreadable: 5,
      },
      process: { ...WELL.process, openFiles: 900, fileLimit: 1_024 },
    });
    expect(marked(text)).toEqual([
      '!             refuses new work: the node was handed over',
      '! Engine      Docker 28.5.2 (API 1.51, overlay2), AWAY for 1h 2m',
      '! network     NOT READY (NoConfig): none',
      '! logs        12 followed, 2.9 MiB behind; since the start 2 gaps, 5 unreadable records, 1 stall',
      '! files       900 of 1024 are open',
    ]);
    for (const why of ['connect ECONNREFUSED', 'of 3 pods that are gone', 'bridge ADD 4', 'the disk hangs'])
      expect(text).toContain(why);
  });

  it('shows the slowest calls first, with their subjects, and only as many as fit', () => {
    const call = (seconds: number) => ({
      ...{ method: 'StopContainer', age: seconds },
      about: { container: ID, pod: 'default/web\x1b[2J' },
    });
    const text = renderStatus({
      ...WELL,
      calls: {
        inFlight: 25,
        oldest: Array.from({ length: 20 }, (_, at) => call(90 - at)),
        engine: [
          {
            ...{ lane: 'stop', underWay: 25, slow: 2, waiting: 1, oldestWait: 0 },
            oldestCall: { what: `POST /containers/${ID}/stop`, age: 88 },
          },
        ],
      },
    });
    expect(text).toContain(
      'CRI calls in flight: 25, the slowest first\n  1m 30s  StopContainer  container abababababab pod',
    );
    expect(text).toContain('and 17 more');
    expect(text).toMatch(
      / {2}stop {2}25 under way \(2 slow\) {2}1 waiting {2}oldest for 1m 28s: POST \/containers\/abababababab\/stop/,
    );
    expect(text).not.toContain('\x1b');
    expect(text.split('\n').length).toBeLessThan(25);
  });

  const EVIL = '\x1b[2J\x9b2J\x7f\r\n';
  /** Returns the report with the given text in place of each of its own texts. */
  const spoilt = (value: unknown): unknown => {
    if (typeof value === 'string') return `${value}${EVIL}`;
    if (Array.isArray(value)) return value.map(spoilt);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, spoilt(inner)]));
  };
  const TROUBLED = spoilt({
    ...WELL,
    ...{ refuses: 'x', network: { ...WELL.network, ready: false, failures: { [`ADD${EVIL}`]: 1 } } },
    logs: { ...WELL.logs, trouble: 'x' },
    calls: {
      ...{ inFlight: 1, oldest: [{ method: 'Exec', age: 1, about: { [`a${EVIL}`]: 'b' } }] },
      engine: [
        {
          ...{ lane: 'stop', underWay: 1, slow: 0, waiting: 0, oldestWait: 0 },
          oldestCall: { what: 'POST', age: 1 },
        },
      ],
    },
  }) as StatusReport;

  it('passes no terminal control sequence on, whatever the daemon reports', () => {
    const lines = renderStatus(TROUBLED).split('\n');
    for (const line of lines) expect(line).not.toMatch(/\p{Cc}/u);
    expect(lines).toContain('  pods        10 ready, 2 not ready');
    expect(lines.filter((line) => line.includes('?[2J?2J?'))).toHaveLength(9);
    expect(lines).toHaveLength(17);
  });

  it('escapes terminal control sequences in JSON too, without changing its meaning', () => {
    const text = asJson(TROUBLED, 2);
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(JSON.parse(text)).toEqual(TROUBLED);
  });

  it.each([
    [0.04, '0.0s'],
    [59.9, '59s'],
    [60, '1m 0s'],
    [3_599, '59m 59s'],
    [86_400, '1d 0h'],
  ])('writes %d seconds as %s', (seconds, text) => expect(age(seconds)).toBe(text));

  it.each([
    [0, '0 B'],
    [1_023, '1023 B'],
    [1_536, '1.5 KiB'],
    [200 * 1024 ** 2, '200 MiB'],
  ])('writes %d bytes as %s', (count, text) => expect(bytes(count)).toBe(text));
});
