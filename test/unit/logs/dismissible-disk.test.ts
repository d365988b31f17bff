import { dismissibleDisk, nodeLogDisk, type LogDisk } from '../../../src/logs/log-disk';
import { WorkMarker } from '../../../src/logs/hang-watch';

describe('dismissibleDisk', () => {
  /** Each call that changes something, with arguments that no other call has. */
  const CHANGES: { readonly [Call in keyof LogDisk]?: Parameters<LogDisk[Call]> } = {
    openAppend: ['/a'],
    write: [7, Buffer.from('text'), 1, 2],
    truncate: [8, 9],
    rename: ['/b', '/c'],
    remove: ['/d'],
    replace: ['/e', 'whole'],
  };
  const calls: unknown[][] = [];
  const recorder = Object.fromEntries(
    Object.keys(nodeLogDisk).map((call) => [
      call,
      (...args: unknown[]) => {
        calls.push([call, ...args]);
        return `result of ${call}`;
      },
    ]),
  ) as unknown as LogDisk;
  beforeEach(() => (calls.length = 0));

  it.each(Object.entries(CHANGES))('passes %s on until its worker is dismissed', (call, args) => {
    const marker = new WorkMarker();
    const disk = dismissibleDisk(recorder, marker);
    const run = (): unknown => (disk[call as keyof LogDisk] as (...given: unknown[]) => unknown)(...args);
    expect(run()).toBe(`result of ${call}`);
    expect(calls).toEqual([[call, ...args]]);
    marker.dismiss();
    expect(run).toThrow('this log worker was replaced');
    expect(calls).toHaveLength(1);
  });

  it('still passes reads on, because a dismissed worker may read', () => {
    const marker = new WorkMarker();
    const disk = dismissibleDisk(recorder, marker);
    marker.dismiss();
    disk.inodeAt('/f');
    disk.close(3);
    expect(calls).toEqual([
      ['inodeAt', '/f'],
      ['close', 3],
    ]);
  });
});
