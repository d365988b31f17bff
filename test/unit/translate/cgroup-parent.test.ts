import { toEngineCgroupParent } from '../../../src/translate/cgroup-parent';

describe('toEngineCgroupParent', () => {
  it.each([
    { driver: 'cgroupfs', given: '/kubepods/burstable/podu1', parent: '/kubepods/burstable/podu1' },
    {
      driver: 'systemd',
      given: '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podu1.slice',
      parent: 'kubepods-burstable-podu1.slice',
    },
    { driver: 'systemd', given: 'kubepods-podu1.slice', parent: 'kubepods-podu1.slice' },
    { driver: 'systemd', given: '/test.slice', parent: 'test.slice' },
    { driver: 'systemd', given: '/a.slice/a-b.slice/', parent: 'a-b.slice' },
    { driver: 'systemd', given: '/', parent: '' },
    { driver: 'cgroupfs', given: '/test.slice', parent: '/test.slice' },
    { driver: 'systemd', given: '', parent: '' },
    { driver: 'cgroupfs', given: '', parent: '' },
    { driver: 'none', given: '/a/b', parent: '/a/b' },
  ])('$driver $given', ({ driver, given, parent }) =>
    expect(toEngineCgroupParent(given, driver)).toBe(parent),
  );
});
