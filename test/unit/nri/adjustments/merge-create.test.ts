import { CreateMerge } from '../../../../src/nri/adjustments/merge-create';
import { FIELDS } from '../../../../src/nri/adjustments/owners';
import { nri } from '../../../../src/proto/nri';
import { thrownBy } from '../../support/errors';

type Adjust = nri.IContainerAdjustment;

const CONTAINER: nri.IContainer = {
  id: 'c',
  annotations: { kept: '1', old: '1' },
  env: ['PATH=/bin', 'HOME=/'],
  mounts: [{ destination: '/data' }, { destination: '/etc' }],
  args: ['sh'],
  rlimits: [{ type: 'RLIMIT_CORE' }],
  linux: {
    devices: [{ path: '/dev/a' }],
    sysctl: { 'net.a': '1' },
    namespaces: [{ type: 'pid' }, { type: 'ipc' }],
    resources: { memory: { limit: { value: 100 } }, unified: { 'memory.high': '50' } },
  },
};

/** Applies the answers of plugins `00-a`, `01-b` and so on. */
function merged(...answers: (Adjust | undefined)[]): CreateMerge {
  const merge = new CreateMerge({ id: 'p' }, CONTAINER);
  answers.forEach((adjust, at) => {
    if (adjust !== undefined) merge.apply(nameOf(at), { adjust });
  });
  return merge;
}

const nameOf = (at: number): string => `0${at}-${'abc'.charAt(at)}`;

const device = (path: string, minor: number): nri.ILinuxDevice => ({ path, type: 'c', major: 1, minor });
const env = (key: string, value = ''): Adjust => ({ env: [{ key, value }] });
const linux = (part: nri.ILinuxContainerAdjustment): Adjust => ({ linux: part });
const resources = (part: nri.ILinuxResources): Adjust => linux({ resources: part });
const value = (number: number): { value: number } => ({ value: number });

/** An adjustment of each field, and NRI's name for a conflict about it. */
const CLAIMS: readonly (readonly [what: string, adjust: Adjust])[] = [
  ['Annotations k', { annotations: { k: 'v' } }],
  ['Mounts /m', { mounts: [{ destination: '/m' }] }],
  ['Env K', env('K')],
  ['Args', { args: ['x'] }],
  ['Devices /dev/x', linux({ devices: [device('/dev/x', 1)] })],
  ['MemLimit', resources({ memory: { limit: value(1) } })],
  ['MemReservation', resources({ memory: { reservation: value(1) } })],
  ['MemSwapLimit', resources({ memory: { swap: value(1) } })],
  ['MemKernelLimit', resources({ memory: { kernel: value(1) } })],
  ['MemTCPLimit', resources({ memory: { kernel_tcp: value(1) } })],
  ['MemSwappiness', resources({ memory: { swappiness: value(1) } })],
  ['MemDisableOomKiller', resources({ memory: { disable_oom_killer: { value: false } } })],
  ['MemUseHierarchy', resources({ memory: { use_hierarchy: { value: false } } })],
  ['CPUShares', resources({ cpu: { shares: value(1) } })],
  ['CPUQuota', resources({ cpu: { quota: value(1) } })],
  ['CPUPeriod', resources({ cpu: { period: value(1) } })],
  ['CPURealtimeRuntime', resources({ cpu: { realtime_runtime: value(1) } })],
  ['CPURealtimePeriod', resources({ cpu: { realtime_period: value(1) } })],
  ['CPUSetCPUs', resources({ cpu: { cpus: '1' } })],
  ['CPUSetMems', resources({ cpu: { mems: '1' } })],
  ['HugepageLimits 2MB', resources({ hugepage_limits: [{ page_size: '2MB' }] })],
  ['CgroupsUnified memory.high', resources({ unified: { 'memory.high': '1' } })],
  ['BlockioClass', resources({ blockio_class: { value: 'x' } })],
  ['RdtClass', resources({ rdt_class: { value: 'x' } })],
  ['PidsLimit', resources({ pids: { limit: 1 } })],
  ['CgroupsPath', linux({ cgroups_path: '/x' })],
  ['OomScoreAdj', linux({ oom_score_adj: value(1) })],
  ['IoPriority', linux({ io_priority: { priority: 1 } })],
  ['SeccompPolicy', linux({ seccomp_policy: { default_action: 'x' } })],
  ['Namespace pid', linux({ namespaces: [{ type: 'pid' }] })],
  ['Sysctl k', linux({ sysctl: { k: 'v' } })],
  ['LinuxNetDevices eth0', linux({ net_devices: { eth0: { name: 'x' } } })],
  ['LinuxSched', linux({ scheduler: { nice: 1 } })],
  ['RdtClosID', linux({ rdt: { clos_id: { value: 'x' } } })],
  ['RdtSchemata', linux({ rdt: { schemata: { value: ['x'] } } })],
  ['RdtEnableMonitoring', linux({ rdt: { enable_monitoring: { value: true } } })],
  ['MemoryPolicy', linux({ memory_policy: { nodes: '0' } })],
  ['Rlimits RLIMIT_NOFILE', { rlimits: [{ type: 'RLIMIT_NOFILE' }] }],
  ['CdiDevices v/c=d', { CDI_devices: [{ name: 'v/c=d' }] }],
];

describe('CreateMerge.apply', () => {
  it.each(CLAIMS)('refuses that two plugins set %s', (what, adjust) => {
    expect(thrownBy(() => merged(adjust, adjust))).toBe(
      `FAILED_PRECONDITION the NRI plugins "01-b" and "00-a" both tried to set ${what}`,
    );
  });

  it('knows the numbers of all fields', () => {
    const { Field } = nri;
    const { None: _none, ...numbers } = Object.fromEntries(
      Object.entries(Field).filter(([name]) => Number.isNaN(Number(name))),
    );
    expect(FIELDS).toEqual(numbers);
  });

  it.each(CLAIMS)('notes who has set %s', (what, adjust) => {
    const { simple, compound } = merged(undefined, adjust).ownersMessage().owners?.c ?? {};
    const [, key] = what.split(' ');
    const owners = key === undefined ? Object.values(simple ?? {}) : Object.values(compound ?? {});
    expect(owners).toEqual([key === undefined ? '01-b' : { owners: { [key]: '01-b' } }]);
  });

  it.each<[string, Adjust, Adjust]>([
    ['annotation', { annotations: { '-k': '' } }, { annotations: { k: 'v' } }],
    ['mount', { mounts: [{ destination: '-/m' }] }, { mounts: [{ destination: '/m' }] }],
    ['variable', env('-K'), env('K', 'v')],
    ['device', linux({ devices: [{ path: '-/dev/x' }] }), linux({ devices: [device('/dev/x', 1)] })],
    ['sysctl', linux({ sysctl: { '-k': '' } }), linux({ sysctl: { k: 'v' } })],
    ['network device', linux({ net_devices: { '-e': {} } }), linux({ net_devices: { e: { name: 'x' } } })],
  ])('lets a plugin replace the %s of another by removing it first', (_what, remove, set) => {
    const both: Adjust = {
      annotations: { ...remove.annotations, ...set.annotations },
      mounts: [...(remove.mounts ?? []), ...(set.mounts ?? [])],
      env: [...(remove.env ?? []), ...(set.env ?? [])],
      linux: {
        devices: [...(remove.linux?.devices ?? []), ...(set.linux?.devices ?? [])],
        sysctl: { ...remove.linux?.sysctl, ...set.linux?.sysctl },
        net_devices: { ...remove.linux?.net_devices, ...set.linux?.net_devices },
      },
    };
    expect(merged(set, both).adjustment()).toEqual(merged(set).adjustment());
    // A third plugin conflicts with the second.
    expect(thrownBy(() => merged(set, both, set))).toMatch(/"02-c" and "01-b" both tried to set/);
    expect(thrownBy(() => merged(set, remove, set))).toMatch(/"02-c" and "01-b" both tried to set/);
    // What the container itself has belongs to nobody.
    expect(merged(remove, set).adjustment()).toEqual(merged(set).adjustment());
  });

  it('keeps removals for the runtime, with their mark', () => {
    const removals = {
      annotations: { '-old': '' },
      mounts: [{ destination: '-/data' }],
      env: [{ key: '-PATH' }],
      linux: {
        devices: [{ path: '-/dev/a' }],
        sysctl: { '-net.a': '' },
        namespaces: [{ type: '-pid' }],
      },
    };
    const net_devices = { '-eth0': {} };
    const adjust = merged({ ...removals, linux: { ...removals.linux, net_devices } }).adjustment();
    expect(adjust).toMatchObject(removals);
    expect(adjust.linux?.net_devices).toEqual(net_devices);
  });

  it('removes what an earlier plugin has set', () => {
    expect(merged(env('K', '1'), env('-K')).adjustment().env).toEqual([{ key: '-K' }]);
  });

  it('refuses that one plugin sets the same mount twice', () => {
    expect(thrownBy(() => merged({ mounts: [{ destination: '/m' }, { destination: '/m' }] }))).toBe(
      'FAILED_PRECONDITION the NRI plugins "00-a" and "00-a" both tried to set Mounts /m',
    );
  });

  it('replaces arguments after an empty first one', () => {
    const merge = merged({ args: ['first'] }, { args: ['', 'second', 'x'] });
    expect([merge.adjustment().args, merge.request.container?.args]).toEqual([
      ['second', 'x'],
      ['second', 'x'],
    ]);
  });

  it('refuses to remove a namespace that another plugin has set', () => {
    const namespaces = (type: string): Adjust => linux({ namespaces: [{ type }] });
    expect(thrownBy(() => merged(namespaces('pid'), namespaces('-pid')))).toMatch(/Namespace pid$/);
  });

  it('collects the hooks of all plugins', () => {
    const hook = (path: string): Adjust => ({ hooks: { prestart: [{ path }] } });
    const merge = merged(hook('/a'), hook('/b'));
    expect(merge.adjustment().hooks?.prestart).toEqual([{ path: '/a' }, { path: '/b' }]);
    expect(merge.request.container?.hooks?.prestart).toEqual([{ path: '/a' }, { path: '/b' }]);
    expect(merge.ownersMessage().owners?.c?.simple).toEqual({ 3: '00-a,01-b' });
  });

  it('removes RDT settings of an earlier plugin, unless the same plugin sets some', () => {
    const set = linux({ rdt: { clos_id: { value: 'x' } } });
    expect(merged(set, linux({ rdt: { remove: true } })).adjustment().linux?.rdt).toEqual({ remove: true });
    expect(
      merged(set, linux({ rdt: { remove: true, clos_id: { value: 'y' } } })).adjustment().linux?.rdt,
    ).toEqual({ remove: false, clos_id: { value: 'y' } });
  });

  it('keeps rules for devices of all plugins', () => {
    const rule = (access: string): Adjust => resources({ devices: [{ allow: true, access }] });
    expect(merged(rule('r'), rule('w')).adjustment().linux?.resources?.devices).toEqual([
      { allow: true, access: 'r' },
      { allow: true, access: 'w' },
    ]);
  });

  it('keeps keys that are names of properties', () => {
    const annotations = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
    const merge = merged({ annotations });
    expect(Object.entries(merge.adjustment().annotations ?? {})).toEqual([['__proto__', 'x']]);
    expect(Object.entries(merge.request.container?.annotations ?? {})).toContainEqual(['__proto__', 'x']);
  });
});

describe('The request for the next plugin', () => {
  it('contains all changes so far', () => {
    const { container, pod } = merged({
      annotations: { '-old': '', new: '2' },
      mounts: [{ destination: '-/data' }, { destination: '/etc', source: '/x' }],
      env: [{ key: '-HOME' }, { key: 'PATH', value: '/sbin' }],
      rlimits: [{ type: 'RLIMIT_NOFILE' }],
      linux: {
        devices: [{ path: '-/dev/a' }, device('/dev/b', 1)],
        sysctl: { '-net.a': '', 'net.b': '2' },
        namespaces: [{ type: '-pid' }, { type: 'uts', path: '/u' }],
        oom_score_adj: value(5),
        cgroups_path: '/new',
        resources: { cpu: { cpus: '0' }, unified: { 'memory.max': '9' } },
      },
    }).request;
    expect(pod).toEqual({ id: 'p' });
    expect(container).toMatchObject({
      id: 'c',
      annotations: { kept: '1', new: '2' },
      mounts: [{ destination: '/etc', source: '/x' }],
      env: ['PATH=/sbin'],
      rlimits: [{ type: 'RLIMIT_CORE' }, { type: 'RLIMIT_NOFILE' }],
      linux: {
        devices: [device('/dev/b', 1)],
        sysctl: { 'net.b': '2' },
        namespaces: [{ type: 'ipc' }, { type: 'uts', path: '/u' }],
        oom_score_adj: value(5),
        cgroups_path: '/new',
        resources: {
          memory: { limit: value(100) },
          cpu: { cpus: '0' },
          unified: { 'memory.high': '50', 'memory.max': '9' },
        },
      },
    });
    expect(Object.keys(container?.annotations ?? {})).toEqual(['kept', 'new']);
  });

  it('leaves the container of the caller as it is', () => {
    const before = JSON.stringify(CONTAINER);
    for (const [, adjust] of CLAIMS) merged(adjust);
    expect(JSON.stringify(CONTAINER)).toBe(before);
  });
});

describe('The updates of other containers', () => {
  const update = (container_id: string, limit: number): nri.IContainerUpdate => ({
    container_id,
    linux: { resources: { memory: { limit: value(limit) } } },
  });

  it('are collected, and so are evictions', () => {
    const merge = merged();
    merge.apply('00-a', { update: [update('x', 1)], evict: [{ container_id: 'y', reason: 'r' }] });
    merge.apply('01-b', { update: [update('z', 2)] });
    expect(merge.otherUpdates()).toMatchObject([update('x', 1), update('z', 2)]);
    expect(merge.otherEvictions()).toEqual([{ container_id: 'y', reason: 'r' }]);
  });

  it('must not concern the container that is being created', () => {
    expect(thrownBy(() => merged().apply('00-a', { update: [update('c', 1)] }))).toBe(
      'FAILED_PRECONDITION the NRI plugin "00-a" asked for an update of c during its creation',
    );
  });
});
