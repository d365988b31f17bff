import { checkCgroupParent, toEngineCgroupParent } from '../../../../src/translate/shared/cgroup-parent';
import { thrownBy } from '../../support/errors';

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
    { driver: 'systemd', given: '/-.slice', parent: '-.slice' },
    { driver: 'none', given: '/a/b', parent: '/a/b' },
  ])('$driver $given', ({ driver, given, parent }) =>
    expect(toEngineCgroupParent(given, driver, 'f')).toBe(parent),
  );

  it.each(['/kubepods/burstable/podu1', '/kubepods.slice/podu1', '.slice', 'a b.slice'])(
    'systemd does not take %s',
    (given) => {
      expect(thrownBy(() => toEngineCgroupParent(given, 'systemd', 'f'))).toMatch(
        /^INVALID_ARGUMENT f: ".*" is not a slice/,
      );
    },
  );
});

describe('checkCgroupParent', () => {
  it.each(['', '/', 'a', '/a/b', '/a//b/', '/a/./b', '/a/..b', `/${'a'.repeat(255)}`])(
    'takes "%s"',
    (given) => {
      expect(checkCgroupParent(given, 'f')).toBe(given);
    },
  );

  it.each([
    ['/a/../b', /^INVALID_ARGUMENT f: "\/a\/\.\.\/b" leads upwards/],
    ['..', /leads upwards/],
    ['/a\0b', /NUL/],
    [`/${'a'.repeat(256)}`, /a name in it is longer than 255 bytes/],
    ['/a'.repeat(2048), /is longer than 4095 bytes/],
  ])('refuses %j', (given, why) => {
    expect(thrownBy(() => checkCgroupParent(given, 'f'))).toMatch(why);
  });
});
