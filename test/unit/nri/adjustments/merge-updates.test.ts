import { UpdatesMerge } from '../../../../src/nri/adjustments/merge-updates';
import { Owners } from '../../../../src/nri/adjustments/owners';
import type { nri } from '../../../../src/proto/nri';
import { thrownBy } from '../../support/errors';

const update = (
  container_id: string,
  resources: nri.ILinuxResources,
  ignore_failure = false,
): nri.IContainerUpdate => ({ container_id, linux: { resources }, ignore_failure });
const limit = (value: number): nri.ILinuxResources => ({ memory: { limit: { value } } });
const REQUESTED: nri.ILinuxResources = {
  memory: { limit: { value: 100 } },
  cpu: { cpus: '0-1' },
  hugepage_limits: [{ page_size: '2MB', limit: 5 }],
  pids: { limit: 10 },
};

const ofStop = (): UpdatesMerge => new UpdatesMerge({ kind: 'stopped' }, new Owners());
const ofUpdate = (): UpdatesMerge =>
  new UpdatesMerge({ kind: 'updated', id: 'c', resources: REQUESTED }, new Owners());

describe('UpdatesMerge', () => {
  it('adds the updates of several plugins for one container', () => {
    const merge = ofStop();
    merge.apply('00-a', [update('x', limit(1))]);
    merge.apply('01-b', [
      update('x', { cpu: { cpus: '3' }, unified: { 'memory.high': '7' } }),
      update('y', {}),
    ]);
    expect(merge.others()).toMatchObject([
      {
        container_id: 'x',
        linux: { resources: { ...limit(1), cpu: { cpus: '3' }, unified: { 'memory.high': '7' } } },
      },
      { container_id: 'y' },
    ]);
  });

  it('refuses that two plugins set the same limit of one container', () => {
    const merge = ofStop();
    merge.apply('00-a', [update('x', limit(1)), update('y', limit(1))]);
    expect(thrownBy(() => merge.apply('01-b', [update('x', limit(2))]))).toBe(
      'FAILED_PRECONDITION the NRI plugins "01-b" and "00-a" both tried to set MemLimit',
    );
  });

  it('skips the whole update at a conflict if the plugin says that it may fail', () => {
    const merge = ofStop();
    merge.apply('00-a', [update('x', limit(1))]);
    merge.apply('01-b', [update('x', { memory: { swap: { value: 9 }, limit: { value: 2 } } }, true)]);
    const [merged] = merge.others();
    expect(merged?.linux?.resources?.memory).toEqual({ limit: { value: 1 } });
  });

  it.each([
    [true, true, true],
    [true, false, false],
    [false, true, false],
  ])('may fail (%s, %s) only if all plugins say so: %s', (one, other, both) => {
    const merge = ofStop();
    merge.apply('00-a', [update('x', limit(1), one)]);
    merge.apply('01-b', [update('x', { cpu: { cpus: '1' } }, other)]);
    expect(merge.others()).toMatchObject([{ ignore_failure: both }]);
  });

  it('starts from what kubelet asks for, which the next plugin sees changed', () => {
    const merge = ofUpdate();
    expect(merge.requested).toMatchObject(REQUESTED);
    merge.apply('00-a', [update('c', { ...limit(50), hugepage_limits: [{ page_size: '2MB', limit: 6 }] })]);
    const changed = {
      ...REQUESTED,
      memory: { limit: { value: 50 } },
      hugepage_limits: [{ page_size: '2MB', limit: 6 }],
    };
    expect(merge.requested).toMatchObject(changed);
    merge.apply('01-b', [update('c', { cpu: { cpus: '5' } }), update('x', limit(1))]);
    expect(merge.ownResources()).toMatchObject({ ...changed, cpu: { cpus: '5' } });
    expect(merge.others()).toMatchObject([{ container_id: 'x' }]);
  });

  it('has no resources for the container if no plugin changes them', () => {
    const merge = ofUpdate();
    merge.apply('00-a', [update('x', limit(1))]);
    expect(merge.ownResources()).toBeUndefined();
  });

  it("takes a limit of processes from the plugin's update", () => {
    const merge = ofUpdate();
    merge.apply('00-a', [update('c', { pids: { limit: 20 } })]);
    merge.apply('01-b', [update('c', limit(1))]);
    expect(merge.ownResources()?.pids).toEqual({ limit: 20 });
  });
});
