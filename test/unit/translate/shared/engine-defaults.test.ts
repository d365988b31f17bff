import {
  everyAddress,
  explicitDefaults,
  noNewPrivileges,
} from '../../../../src/translate/shared/engine-defaults';

describe('explicitDefaults', () => {
  it.each<{ privileged: boolean; cgroupVersion: string; namespace: string }>([
    { privileged: false, cgroupVersion: '2', namespace: 'private' },
    { privileged: true, cgroupVersion: '2', namespace: 'host' },
    { privileged: false, cgroupVersion: '1', namespace: 'host' },
    { privileged: true, cgroupVersion: '1', namespace: 'host' },
  ])(
    'sets for cgroup v$cgroupVersion and privileged $privileged the cgroup namespace $namespace',
    ({ privileged, cgroupVersion, namespace }) => {
      expect(explicitDefaults(privileged, cgroupVersion)).toEqual({
        Init: false,
        UsernsMode: 'host',
        CgroupnsMode: namespace,
      });
    },
  );
});

it('noNewPrivileges sets false as well as true', () => {
  expect(noNewPrivileges(true)).toBe('no-new-privileges');
  expect(noNewPrivileges(false)).toBe('no-new-privileges=false');
});

describe('everyAddress', () => {
  it('includes both kinds of address on the Engine’s own network', () => {
    expect(everyAddress('bridge', true)).toEqual(['0.0.0.0', '::']);
  });
  it('omits IPv6 if the node has none', () => {
    expect(everyAddress('bridge', false)).toEqual(['0.0.0.0']);
  });
  it('returns the empty address if CNI serves host ports', () => {
    expect(everyAddress('none', true)).toEqual(['']);
  });
});
