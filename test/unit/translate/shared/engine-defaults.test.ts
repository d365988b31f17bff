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
    'cgroup v$cgroupVersion, privileged $privileged: cgroup namespace $namespace',
    ({ privileged, cgroupVersion, namespace }) => {
      expect(explicitDefaults(privileged, cgroupVersion)).toEqual({
        Init: false,
        UsernsMode: 'host',
        CgroupnsMode: namespace,
      });
    },
  );
});

it('noNewPrivileges says no as well as yes', () => {
  expect(noNewPrivileges(true)).toBe('no-new-privileges');
  expect(noNewPrivileges(false)).toBe('no-new-privileges=false');
});

describe('everyAddress', () => {
  it('is both kinds of address on the Engine’s own network', () => {
    expect(everyAddress('bridge', true)).toEqual(['0.0.0.0', '::']);
  });
  it('leaves IPv6 out where the node has none', () => {
    expect(everyAddress('bridge', false)).toEqual(['0.0.0.0']);
  });
  it('keeps what was asked for where CNI serves host ports', () => {
    expect(everyAddress('none', true)).toEqual(['']);
  });
});
