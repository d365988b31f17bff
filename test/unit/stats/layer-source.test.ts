import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { notFound, unavailable } from '../../../src/lib/errors';
import type { DiskWork, Measured } from '../../../src/stats/disk/disk-work';
import { LayerSource, upperDirectory, type LayerSourceParts } from '../../../src/stats/disk/layer-source';
import { ReadingClock } from '../../../src/stats/readings';
import { rejectionOf } from '../support/errors';

const mockProc = new Map<string, string>();
jest.mock('../../../src/node/disk/files', () => ({
  readText: (path: string) => Promise.resolve(mockProc.get(path)),
}));

const TARGET = { id: 'c1', pid: 200 };
const root = (upper: string): string =>
  `4 5 0:6 / / rw - overlay overlay rw,lowerdir=/l,upperdir=${upper},workdir=/w\n`;

let data: string;
let layer: string;
let measure: jest.Mock<Promise<Measured | undefined>, [string]>;
let containerSize: jest.Mock<Promise<number | undefined>, [string, { signal: AbortSignal }]>;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'dockbridge-layer-'));
  layer = join(data, 'overlay2/abc/diff');
  await mkdir(layer, { recursive: true });
  mockProc.clear();
  mockProc.set('/proc/200/mountinfo', root(layer)).set('/proc/200/cgroup', '0::/docker/c1\n');
  measure = jest.fn<Promise<Measured | undefined>, [string]>(() =>
    Promise.resolve({ bytes: 11, inodes: 12, busyMs: 13 }),
  );
  containerSize = jest.fn<Promise<number | undefined>, [string, { signal: AbortSignal }]>(() =>
    Promise.resolve(21),
  );
});
afterEach(() => rm(data, { recursive: true }));

const TIME = 1_700_000_000_000;
function source(more: Partial<LayerSourceParts> = {}): LayerSource {
  return new LayerSource({
    work: { measure } as unknown as DiskWork,
    engine: { containerSize },
    clock: new ReadingClock(() => TIME),
    visible: true,
    rootDir: () => data,
    imageDirectory: () => data,
    ...more,
  });
}
const { signal } = new AbortController();
const timestamp = new ReadingClock(() => TIME).now();

describe('a visible layer', () => {
  it('is measured by a walk, with the directory of the images as its mount point', async () => {
    expect(await source().measure(TARGET, signal)).toEqual({
      reading: { timestamp, mountpoint: data, usedBytes: 11, inodesUsed: 12 },
      costMs: 13,
      directory: layer,
    });
    expect(measure.mock.calls).toEqual([[layer]]);
    expect(containerSize).not.toHaveBeenCalled();
  });

  it.each([
    ['elsewhere', () => `${data}/other`],
    ['only the beginning of a name in its path', () => data.slice(0, -1)],
    ['not known yet', () => ''],
  ])(
    'has its own directory as its mount point if the directory of the images is %s',
    async (_, imageDirectory) => {
      const measured = await source({ imageDirectory }).measure(TARGET, signal);
      expect(measured?.reading.mountpoint).toBe(layer);
    },
  );

  it.each<[string, () => void]>([
    ['has gone', () => measure.mockResolvedValue(undefined)],
    ['belongs to another container by now', () => mockProc.set('/proc/200/cgroup', '0::/docker/c2\n')],
    ['is not a layer', () => mockProc.set('/proc/200/mountinfo', '4 5 0:6 / / rw - ext4 /dev/vda rw\n')],
    ['belongs to a process that has ended', () => mockProc.delete('/proc/200/mountinfo')],
  ])('is left to the Engine if it %s', async (_, change) => {
    change();
    const measured = await source().measure(TARGET, signal);
    expect(measured).toEqual({
      reading: { timestamp, mountpoint: data, usedBytes: 21 },
      costMs: expect.any(Number) as number,
    });
  });
});

describe('a layer that is not visible', () => {
  const measured = (): ReturnType<LayerSource['measure']> =>
    source({ visible: false }).measure(TARGET, signal);

  it('is measured by the Engine, with a time limit', async () => {
    jest.spyOn(performance, 'now').mockReturnValueOnce(1_000).mockReturnValueOnce(1_500);
    expect(await measured()).toEqual({
      reading: { timestamp, mountpoint: data, usedBytes: 21 },
      costMs: 500,
    });
    expect(containerSize.mock.calls).toEqual([['c1', { signal: expect.any(AbortSignal) as AbortSignal }]]);
    expect(measure).not.toHaveBeenCalled();
  });

  it('has no size if the Engine does not know the container, and causes an error if the Engine does not answer', async () => {
    containerSize.mockResolvedValueOnce(undefined);
    expect(await measured()).toBeUndefined();
    containerSize.mockRejectedValueOnce(notFound('gone'));
    expect(await measured()).toBeUndefined();
    containerSize.mockRejectedValueOnce(unavailable('no answer'));
    expect(await rejectionOf(measured())).toBe('UNAVAILABLE no answer');
  });

  it('is given up after a minute, and when the call ends', async () => {
    jest.useFakeTimers();
    try {
      containerSize.mockImplementation(
        (_, { signal: limit }) =>
          new Promise((_resolve, reject) =>
            limit.addEventListener('abort', () => reject(limit.reason as Error)),
          ),
      );
      const late = rejectionOf(measured());
      await jest.advanceTimersByTimeAsync(59_999);
      expect(jest.getTimerCount()).toBe(1);
      await jest.advanceTimersByTimeAsync(1);
      expect(await late).toMatch(/^DEADLINE_EXCEEDED .*c1/);
      const call = new AbortController();
      const cut = source({ visible: false }).measure(TARGET, call.signal);
      call.abort(new Error('stopped'));
      await expect(cut).rejects.toThrow('stopped');
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('upperDirectory', () => {
  it('returns a path below the data root if the option is relative', async () => {
    mockProc.set('/proc/200/mountinfo', root('abc/diff'));
    expect(await upperDirectory(TARGET, '/data')).toBe('/data/overlay2/abc/diff');
    mockProc.set('/proc/200/mountinfo', root('/abc/diff'));
    expect(await upperDirectory(TARGET, '/data')).toBe('/abc/diff');
  });
});

describe('quotaUsage', () => {
  it('finds no quota on an ordinary file system, so that the layer is walked', async () => {
    await writeFile(join(layer, 'file'), 'x');
    const measured = await source().measure(TARGET, signal);
    expect(measured?.reading.usedBytes).toBe(11);
  });
});
