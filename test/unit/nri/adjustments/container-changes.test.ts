import Long from 'long';
import { toContainerChanges } from '../../../../src/nri/adjustments/container-changes';
import { toResourceChanges } from '../../../../src/nri/adjustments/resource-changes';
import type { nri } from '../../../../src/proto/nri';
import { thrownBy } from '../../support/errors';

const PATH = 'pod.slice:docker:NAME';
const changes = (adjust: nri.IContainerAdjustment): ReturnType<typeof toContainerChanges> =>
  toContainerChanges(adjust, PATH);
const linux = (part: nri.ILinuxContainerAdjustment): nri.IContainerAdjustment => ({ linux: part });
const resources = (part: nri.ILinuxResources): nri.IContainerAdjustment => linux({ resources: part });
const mount = (part: nri.IMount): nri.IContainerAdjustment => ({
  mounts: [{ destination: '/m', source: '/s', type: 'bind', ...part }],
});
const device = (part: nri.ILinuxDevice): nri.IContainerAdjustment =>
  linux({ devices: [{ path: '/dev/x', type: 'c', major: 1, minor: 3, ...part }] });
const rlimit = (type: string, soft: number | Long, hard: number | Long): nri.IContainerAdjustment => ({
  rlimits: [{ type, soft, hard }],
});
const namespace = (type: string, path = ''): nri.IContainerAdjustment =>
  linux({ namespaces: [{ type, path }] });
const rule = (part: nri.ILinuxDeviceCgroup): nri.IContainerAdjustment =>
  resources({ devices: [{ allow: true, type: 'c', access: 'rw', ...part }] });

const NOTHING = { set: [], removed: [] };

describe('toContainerChanges', () => {
  it('changes nothing for an empty adjustment', () => {
    expect(changes({})).toEqual({
      annotations: { set: {}, removed: [] },
      mounts: NOTHING,
      env: NOTHING,
      devices: NOTHING,
      deviceRules: [],
      cdiDevices: [],
      ulimits: [],
      resources: { hugepages: {}, unified: {} },
      sysctls: { set: {}, removed: [] },
      namespaces: new Map(),
    });
  });

  it.each<[string, nri.IContainerAdjustment, object]>([
    [
      'annotations',
      { annotations: { a: '1', '-b': '' } },
      { annotations: { set: { a: '1' }, removed: ['b'] } },
    ],
    [
      'variables',
      { env: [{ key: 'A', value: 'x=y' }, { key: '-B' }, { key: '-A' }] },
      { env: { set: [['A', 'x=y']], removed: ['B'] } },
    ],
    ['arguments', { args: ['a', ''] }, { args: ['a', ''] }],
    [
      'sysctls',
      linux({ sysctl: { 'net.a': '1', '-net.b': '' } }),
      { sysctls: { set: { 'net.a': '1' }, removed: ['net.b'] } },
    ],
    ['CDI devices', { CDI_devices: [{ name: 'v/c=d' }] }, { cdiDevices: ['v/c=d'] }],
    ['the score for OOM kills', linux({ oom_score_adj: { value: -5 } }), { oomScoreAdj: -5 }],
    ['the parent (systemd)', linux({ cgroups_path: 'new.slice:docker:NAME' }), { cgroupParent: 'new.slice' }],
    [
      'limits',
      rlimit('RLIMIT_NOFILE', 10, Long.MAX_UNSIGNED_VALUE),
      { ulimits: [{ name: 'nofile', soft: 10, hard: -1 }] },
    ],
    [
      'a bind mount',
      mount({ options: ['rbind', 'ro', 'rslave', 'relabel'] }),
      {
        mounts: {
          removed: [],
          set: [
            {
              kind: 'bind',
              source: '/s',
              target: '/m',
              isReadOnly: true,
              isRecursive: true,
              propagation: 'rslave',
              relabel: true,
            },
          ],
        },
      },
    ],
    [
      'a bind mount without its type',
      mount({ type: '', options: ['bind'] }),
      {
        mounts: {
          removed: [],
          set: [
            {
              kind: 'bind',
              source: '/s',
              target: '/m',
              isReadOnly: false,
              isRecursive: false,
              relabel: false,
            },
          ],
        },
      },
    ],
    [
      'a tmpfs',
      mount({ type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'size=64m', 'mode=0700'] }),
      {
        mounts: {
          removed: [],
          set: [{ kind: 'tmpfs', target: '/m', options: ['nosuid', 'size=64m', 'mode=0700'] }],
        },
      },
    ],
    [
      'the removal of a mount',
      { mounts: [{ destination: '-/m' }] },
      { mounts: { set: [], removed: ['/m'] } },
    ],
    [
      'a device',
      device({ file_mode: { value: 0o20640 }, uid: { value: 0 }, gid: { value: 6 } }),
      {
        devices: {
          removed: [],
          set: [{ path: '/dev/x', type: 'c', major: 1, minor: 3, mode: 0o640, uid: 0, gid: 6, access: 'rw' }],
        },
      },
    ],
    [
      'a block device, and a removal',
      linux({ devices: [{ path: '-/dev/y' }, { path: '/dev/b', type: 'b', major: 8, minor: 0 }] }),
      {
        devices: {
          removed: ['/dev/y'],
          set: [{ path: '/dev/b', type: 'b', major: 8, minor: 0, access: 'rwm' }],
        },
      },
    ],
    ['rules', rule({ major: { value: 10 } }), { deviceRules: ['c 10:* rw'] }],
    [
      'rules for all devices',
      rule({ type: '', major: { value: -1 }, minor: { value: 0 }, access: 'm' }),
      { deviceRules: ['a *:0 m'] },
    ],
    ['a namespace of the host', namespace('-network'), { namespaces: new Map([['network', 'host']]) }],
    ['a namespace of its own', namespace('ipc'), { namespaces: new Map([['ipc', 'private']]) }],
  ])('translates %s', (_what, adjust, part) => {
    expect(changes(adjust)).toMatchObject(part);
  });

  it.each([
    ...['core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice'],
    ...['nofile', 'nproc', 'rss', 'rtprio', 'rttime', 'sigpending', 'stack'],
  ])('carries the limit %s', (name) => {
    const { ulimits } = changes(rlimit(`RLIMIT_${name.toUpperCase()}`, 1, 2));
    expect(ulimits).toEqual([{ name, soft: 1, hard: 2 }]);
  });

  it('keeps the parent if the path is the old one, and divides paths of the cgroupfs driver', () => {
    expect(changes(linux({ cgroups_path: PATH })).cgroupParent).toBeUndefined();
    expect(toContainerChanges(linux({ cgroups_path: '/new/one/NAME' }), '/old/NAME').cgroupParent).toBe(
      '/new/one',
    );
  });

  it.each<[string, nri.IContainerAdjustment]>([
    ['hooks.prestart', { hooks: { prestart: [{ path: '/x' }] } }],
    ['hooks.create_runtime', { hooks: { create_runtime: [{ path: '/x' }] } }],
    ['hooks.create_container', { hooks: { create_container: [{ path: '/x' }] } }],
    ['hooks.start_container', { hooks: { start_container: [{ path: '/x' }] } }],
    ['hooks.poststart', { hooks: { poststart: [{ path: '/x' }] } }],
    ['hooks.poststop', { hooks: { poststop: [{ path: '/x' }] } }],
    ['linux.io_priority', linux({ io_priority: { priority: 1 } })],
    ['linux.seccomp_policy', linux({ seccomp_policy: {} })],
    ['linux.scheduler', linux({ scheduler: {} })],
    ['linux.memory_policy', linux({ memory_policy: {} })],
    ['linux.rdt', linux({ rdt: { remove: true } })],
    ['linux.net_devices["eth0"]', linux({ net_devices: { eth0: { name: 'x' } } })],
    ['linux.cgroups_path', linux({ cgroups_path: 'pod.slice:docker:OTHER' })],
    ['linux.cgroups_path', linux({ cgroups_path: 'pod.slice:cri:NAME' })],
    ['linux.namespaces["mount"]', namespace('mount')],
    ['linux.namespaces["mount"]', namespace('-mount')],
    ['linux.namespaces["network"]', namespace('network')],
    ['linux.namespaces["user"]', namespace('user')],
    ['linux.namespaces["pid"].path', namespace('pid', '/proc/1/ns/pid')],
    ['rlimits[0].type', rlimit('RLIMIT_AS', 1, 1)],
    ['mounts[0].type', mount({ type: 'overlay' })],
    ['mounts[0].options', mount({ options: ['nosuid'] })],
    ['mounts[0].options', mount({ type: 'tmpfs', options: ['huge=always'] })],
    ['linux.devices[0].type', device({ type: 'p' })],
    ['linux.resources.devices[0].allow', rule({ allow: false })],
    ['linux.resources.memory.kernel', resources({ memory: { kernel: { value: 1 } } })],
    ['linux.resources.memory.kernel_tcp', resources({ memory: { kernel_tcp: { value: 1 } } })],
    ['linux.resources.memory.swappiness', resources({ memory: { swappiness: { value: 1 } } })],
    ['linux.resources.memory.use_hierarchy', resources({ memory: { use_hierarchy: { value: true } } })],
    [
      'linux.resources.memory.disable_oom_killer',
      resources({ memory: { disable_oom_killer: { value: true } } }),
    ],
    ['linux.resources.cpu.realtime_runtime', resources({ cpu: { realtime_runtime: { value: 1 } } })],
    ['linux.resources.cpu.realtime_period', resources({ cpu: { realtime_period: { value: 1 } } })],
    ['linux.resources.blockio_class', resources({ blockio_class: { value: 'x' } })],
    ['linux.resources.rdt_class', resources({ rdt_class: { value: 'x' } })],
    ['linux.resources.unified["cgroup.freeze"]', resources({ unified: { 'cgroup.freeze': '1' } })],
  ])('refuses %s by name', (field, adjust) => {
    expect(thrownBy(() => changes(adjust))).toMatch(`UNIMPLEMENTED NRI adjustment ${field}: `);
  });

  it.each<[string, nri.IContainerAdjustment]>([
    ['annotations[""]', { annotations: { '': 'x' } }],
    ['linux.sysctl["a"]', linux({ sysctl: { a: '\0' } })],
    ['env[0]', { env: [{ key: 'A=B' }] }],
    ['env[0]', { env: [{ key: '' }] }],
    ['args[1]', { args: ['a', '\0'] }],
    ['mounts[0].destination', mount({ destination: 'm' })],
    ['mounts[0].destination', mount({ destination: '/./' })],
    ['mounts[0].source', mount({ source: 's' })],
    ['linux.devices[0].path', device({ path: 'x' })],
    ['linux.oom_score_adj', linux({ oom_score_adj: { value: 1001 } })],
    ['rlimits[0].soft', rlimit('RLIMIT_NOFILE', Long.MAX_UNSIGNED_VALUE.sub(1), 1)],
    ['linux.resources.devices[0].type', rule({ type: 'x' })],
    ['linux.resources.devices[0].access', rule({ access: '' })],
    ['linux.resources.devices[0].access', rule({ access: 'xrw' })],
    ['linux.resources.devices[0].access', rule({ access: 'rwx' })],
    ['linux.resources.cpu.cpus', resources({ cpu: { cpus: '0-' } })],
    ['linux.resources.cpu.mems', resources({ cpu: { mems: 'x' } })],
    ['linux.resources.hugepage_limits[0].page_size', resources({ hugepage_limits: [{ page_size: '2M' }] })],
    ['linux.resources.unified["memory.high"]', resources({ unified: { 'memory.high': 'a\nb' } })],
    ['linux.resources.memory.limit', resources({ memory: { limit: { value: Long.MAX_VALUE } } })],
  ])('finds that %s makes no sense', (field, adjust) => {
    expect(thrownBy(() => changes(adjust))).toMatch(`INVALID_ARGUMENT NRI adjustment ${field}: `);
  });
});

describe('toResourceChanges', () => {
  it('translates all limits that can be carried', () => {
    const value = (number: number): { value: Long } => ({ value: Long.fromNumber(number) });
    expect(
      toResourceChanges(
        {
          memory: {
            limit: value(1),
            swap: value(-1),
            reservation: value(3),
            disable_oom_killer: { value: false },
          },
          cpu: { shares: value(4), quota: value(-1), period: value(6), cpus: '0-3,7', mems: '0' },
          hugepage_limits: [{ page_size: '2MB', limit: Long.fromNumber(8) }],
          blockio_class: { value: '' },
          unified: { 'memory.high': '9' },
          pids: { limit: Long.fromNumber(-1) },
        },
        'f',
      ),
    ).toEqual({
      memory: 1,
      memorySwap: -1,
      memoryReservation: 3,
      cpuShares: 4,
      cpuQuota: -1,
      cpuPeriod: 6,
      cpusetCpus: '0-3,7',
      cpusetMems: '0',
      pids: -1,
      hugepages: { '2MB': '8' },
      unified: { 'memory.high': '9' },
    });
  });
});
