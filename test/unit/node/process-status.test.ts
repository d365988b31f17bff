import { capabilitiesOf, parseProcessStatus } from '../../../src/node/process/process-status';

const STATUS = `Name:\tsh
Umask:\t0022
Uid:\t1000\t1001\t1002\t1003
Gid:\t2000\t2000\t2000\t2000
Groups:\t33 3000\u0020
CapInh:\t0000000000000000
CapPrm:\t0000000000000401
CapEff:\t0000000000000400
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000001
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t1
`;

it('processStatus reads the ids, capabilities and restrictions of a process', () => {
  expect(parseProcessStatus(STATUS)).toEqual({
    uids: [1000, 1001, 1002, 1003],
    gids: [2000, 2000, 2000, 2000],
    groups: [33, 3000],
    capabilities: {
      inheritable: 0n,
      permitted: 0x401n,
      effective: 0x400n,
      bounding: 0x1ff_ffff_ffffn,
      ambient: 1n,
    },
    noNewPrivileges: true,
    seccomp: 2,
    umask: '0022',
  });
});

it('processStatus accepts a process without groups, and a kernel with fewer fields', () => {
  const { groups, uids, noNewPrivileges, seccomp, umask, capabilities } =
    parseProcessStatus('Groups:\t \nNgid:\t0\n');
  expect({ groups, uids, noNewPrivileges, seccomp, umask }).toEqual({ groups: [], uids: [] });
  expect(capabilities.effective).toBe(0n);
});

it('processStatus names the capabilities of a set in the order of their bits', () => {
  expect(capabilitiesOf(0x401n)).toEqual(['CHOWN', 'NET_BIND_SERVICE']);
  expect(capabilitiesOf(1n << 63n)).toEqual([]);
  expect(capabilitiesOf(0x1ff_ffff_ffffn)).toHaveLength(41);
});
