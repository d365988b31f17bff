import { deadlineExceeded, unavailable } from '../../src/lib/errors';
import { emptyLogStats } from '../../src/logs/container-logs';
import type { LaneLoad } from '../../src/docker/call-lanes';
import { watchedLink, watchedLogs } from '../../src/watched-parts';

const HANGS = { reason: 'LogsHang', message: 'the disk hangs' } as const;
const late = (): Promise<never> =>
  Promise.reject(deadlineExceeded('the log worker did not answer stats in time'));

describe('the log part of the watchdog answers', () => {
  it.each([
    ['if the logs answer', { stats: () => Promise.resolve(emptyLogStats()) }],
    ['if there are no logs to ask', {}],
    ['if the logs refuse', { stats: () => Promise.reject(unavailable('cannot start a thread')) }],
    ['if the node has a known problem', { stats: late, trouble: HANGS }],
  ])('%s', async (_what, logs) => {
    expect(await watchedLogs(logs).problem()).toBeUndefined();
  });

  it('with a problem when nothing comes back for an unknown reason', async () => {
    expect(await watchedLogs({ stats: late }).problem()).toContain('did not answer');
  });
});

describe('the Engine part of the watchdog answers', () => {
  const TEN_MINUTES = 600_000;
  const IDLE = { underWay: 0, waiting: 0 } as LaneLoad;
  let link: { steps: number | 'ended' };
  let lanes: { load: LaneLoad[] };
  let cniTimeout: number;
  const look = async (part: ReturnType<typeof watchedLink>, times: number): Promise<string | undefined> => {
    let problem: string | undefined;
    for (let time = 0; time < times; time++) problem = await part.problem();
    return problem;
  };

  beforeEach(() => {
    link = { steps: 5 };
    lanes = { load: [IDLE] };
    cniTimeout = 120_000;
  });

  it('until the loop has stood still for half an hour, and again after its next step', async () => {
    const part = watchedLink(link, lanes, TEN_MINUTES, () => cniTimeout);
    expect(await look(part, 2)).toBeUndefined();
    expect(await look(part, 1)).toContain('made no step');
    link.steps = 6;
    expect(await look(part, 1)).toBeUndefined();
  });

  it('for twice the limit of CNI plugins, even after a reload with a longer limit', async () => {
    const part = watchedLink(link, lanes, TEN_MINUTES, () => cniTimeout);
    cniTimeout = 2 * TEN_MINUTES;
    expect(await look(part, 3)).toBeUndefined();
    expect(await look(part, 1)).toContain('no step for 40 minutes');
  });

  it.each([
    ['while a call is under way', () => (lanes.load = [IDLE, { ...IDLE, underWay: 1 }])],
    ['while a call waits for its turn', () => (lanes.load = [{ ...IDLE, waiting: 1 }])],
    ['after the link has ended', () => (link.steps = 'ended')],
  ])('%s, however long', async (_what, arrange) => {
    arrange();
    expect(
      await look(
        watchedLink(link, lanes, TEN_MINUTES, () => cniTimeout),
        10,
      ),
    ).toBeUndefined();
  });

  it('with a count that begins again after a call was under way', async () => {
    const part = watchedLink(link, lanes, TEN_MINUTES, () => cniTimeout);
    await look(part, 2);
    lanes.load = [{ ...IDLE, underWay: 1 }];
    await look(part, 1);
    lanes.load = [IDLE];
    expect(await look(part, 2)).toBeUndefined();
  });
});
