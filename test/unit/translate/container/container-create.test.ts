import type { EngineContainerCreate } from '../../../../src/engine/types';
import { NamespaceMode, SecurityProfileType, Signal } from '../../../../src/proto/enums';
import { checkContainer } from '../../../../src/translate/container/container-check';
import { toContainerCreate, toEngineDevices } from '../../../../src/translate/container/container-create';
import { codeAndField, thrownBy } from '../../support/errors';
import { engineFeatures, NO_FEATURES, sandboxRecord, surroundings } from '../../support/records';
import { decoded, unknownEnum } from '../../support/wire';

type Given = Parameters<typeof decoded<'ContainerConfig'>>[1];
const { CONTAINER, NODE, TARGET } = NamespaceMode;
const SANDBOX = sandboxRecord({ id: 's1', cgroupParent: '/kubepods.slice/kubepods-pod1.slice' });
const MINIMAL: Given = { metadata: { name: 'app' }, image: { image: 'busybox' } };

const NODE_FACTS = surroundings();

/** The request that kubelet sends for an ordinary container. */
const KUBELET: Given = {
  metadata: { name: 'app', attempt: 3 },
  image: { image: 'sha256:abc', user_specified_image: 'registry.example/app:1.0' },
  command: ['/bin/app'],
  args: ['--port', '80'],
  working_dir: '/srv',
  envs: [
    { key: 'A', value: Buffer.from('b=c') },
    { key: 'EMPTY', value: Buffer.alloc(0) },
    { key: 'UTF8', value: Buffer.from('größe') },
  ],
  mounts: [
    { container_path: '/etc/hosts', host_path: '/var/lib/kubelet/pods/u/etc-hosts' },
    {
      container_path: '/secret',
      host_path: '/var/lib/kubelet/pods/u/secret',
      readonly: true,
      propagation: 1,
    },
  ],
  devices: [{ container_path: '/dev/fuse', host_path: '/dev/fuse', permissions: 'rwm' }],
  labels: { 'io.kubernetes.container.name': 'app', app: 'web' },
  annotations: { 'io.kubernetes.container.hash': 'a1' },
  log_path: 'app/3.log',
  linux: {
    resources: {
      cpu_shares: 102,
      cpu_period: 100_000,
      cpu_quota: 20_000,
      memory_limit_in_bytes: 1 << 27,
      oom_score_adj: 937,
      hugepage_limits: [{ page_size: '2MB' }],
    },
    security_context: {
      capabilities: { add_capabilities: ['NET_ADMIN'], drop_capabilities: ['ALL'] },
      namespace_options: { pid: CONTAINER },
      run_as_user: { value: 1000 },
      run_as_group: { value: 2000 },
      supplemental_groups: [3000],
      readonly_rootfs: true,
      no_new_privs: true,
      masked_paths: ['/proc/kcore'],
      readonly_paths: ['/proc/bus'],
      seccomp: { profile_type: SecurityProfileType.RuntimeDefault },
      apparmor: { profile_type: SecurityProfileType.RuntimeDefault },
    },
  },
};

function create(
  given: Given,
  { sandbox = SANDBOX, facts = {}, seccomp = [] as string[] } = {},
): EngineContainerCreate {
  const checked = checkContainer(decoded('ContainerConfig', given), sandbox);
  return toContainerCreate(checked, sandbox, { ...NODE_FACTS, ...facts }, seccomp);
}

const context = (over: object): Given => ({ ...MINIMAL, linux: { security_context: over } });

describe('toContainerCreate', () => {
  it("translates kubelet's ordinary container completely", () => {
    const { Labels: labels, ...body } = create(KUBELET);
    expect(body).toEqual({
      Image: 'sha256:abc',
      Entrypoint: ['/bin/app'],
      Cmd: ['--port', '80'],
      Env: ['A=b=c', 'EMPTY=', 'UTF8=größe'],
      WorkingDir: '/srv',
      User: '1000:2000',
      OpenStdin: false,
      StdinOnce: false,
      Tty: false,
      Healthcheck: { Test: ['NONE'] },
      HostConfig: {
        NetworkMode: 'container:s1',
        IpcMode: 'container:s1',
        PidMode: '',
        Init: false,
        UsernsMode: 'host',
        CgroupnsMode: 'private',
        CpuShares: 102,
        CpuPeriod: 100_000,
        CpuQuota: 20_000,
        CpusetCpus: '',
        CpusetMems: '',
        Memory: 1 << 27,
        MemorySwap: 1 << 27,
        OomScoreAdj: 937,
        Privileged: false,
        ReadonlyRootfs: true,
        CapAdd: ['NET_ADMIN'],
        CapDrop: ['ALL'],
        GroupAdd: ['3000'],
        MaskedPaths: ['/proc/kcore'],
        ReadonlyPaths: ['/proc/bus'],
        SecurityOpt: ['no-new-privileges'],
        CgroupParent: 'kubepods-pod1.slice',
        Mounts: [
          {
            Type: 'bind',
            Source: '/var/lib/kubelet/pods/u/etc-hosts',
            Target: '/etc/hosts',
            ReadOnly: false,
            BindOptions: {},
          },
          {
            Type: 'bind',
            Source: '/var/lib/kubelet/pods/u/secret',
            Target: '/secret',
            ReadOnly: true,
            BindOptions: { Propagation: 'rslave', ReadOnlyNonRecursive: true },
          },
        ],
        Devices: [{ PathOnHost: '/dev/fuse', PathInContainer: '/dev/fuse', CgroupPermissions: 'rwm' }],
        RestartPolicy: { Name: 'no' },
        LogConfig: {
          Type: 'json-file',
          Config: {
            'max-size': '16m',
            'max-file': '4',
            compress: 'false',
            mode: 'blocking',
            labels: '',
            'labels-regex': '',
            env: '',
            'env-regex': '',
            tag: '',
          },
        },
      },
    });
    const { 'io.dockbridge.cri': ours, ...shared } = labels;
    expect(shared).toEqual({
      'io.kubernetes.container.name': 'app',
      app: 'web',
      'annotation.io.kubernetes.container.hash': 'a1',
      'io.kubernetes.docker.type': 'container',
      'io.kubernetes.sandbox.id': 's1',
      'io.kubernetes.container.logpath': '/var/log/pods/shop_web_uid-1/app/3.log',
    });
    expect(JSON.parse(ours!)).toMatchObject({
      v: 1,
      metadata: { name: 'app', attempt: 3 },
      image: { image: 'sha256:abc', userSpecified: 'registry.example/app:1.0' },
    });
  });

  it('translates the minimal request, without linux', () => {
    const { Labels: labels, ...body } = create(MINIMAL);
    expect(body).toMatchObject({
      Image: 'sha256:abc',
      Env: [],
      HostConfig: {
        NetworkMode: 'container:s1',
        IpcMode: 'container:s1',
        PidMode: 'container:s1',
        SecurityOpt: ['no-new-privileges=false'],
        Mounts: [],
        Devices: [],
      },
    });
    for (const absent of ['Entrypoint', 'Cmd', 'WorkingDir', 'StopSignal']) {
      expect(body).not.toHaveProperty(absent);
    }
    // An absent field does not mean "unmask everything", or "no limits at all".
    for (const absent of ['MaskedPaths', 'ReadonlyPaths', 'Privileged', 'Memory', 'Runtime', 'UTSMode']) {
      expect(body.HostConfig).not.toHaveProperty(absent);
    }
    expect(labels['io.kubernetes.container.logpath']).toBe('');
  });

  it.each<{ desc: string; given: Given; expected: object }>([
    { desc: 'neither', given: {}, expected: {} },
    { desc: 'both', given: { command: ['a'], args: ['b'] }, expected: { Entrypoint: ['a'], Cmd: ['b'] } },
    { desc: 'arguments only', given: { args: ['b'] }, expected: { Cmd: ['b'] } },
    {
      desc: "a command without arguments drops the image's arguments",
      given: { command: ['a'] },
      expected: { Entrypoint: ['a'], Cmd: [] },
    },
  ])('sets command and arguments: $desc', ({ given, expected }) => {
    const { Entrypoint, Cmd } = create({ ...MINIMAL, ...given });
    expect({ Entrypoint, Cmd }).toEqual({ Entrypoint: undefined, Cmd: undefined, ...expected });
  });

  it.each<{ desc: string; given: Given; expected: object }>([
    {
      desc: 'an empty context unmasks everything',
      given: context({}),
      expected: { MaskedPaths: [], ReadonlyPaths: [] },
    },
    {
      desc: 'the PID namespace of a target container',
      given: context({ namespace_options: { pid: TARGET, target_id: 'c9' } }),
      expected: { PidMode: 'container:c9' },
    },
    {
      desc: "the host's network",
      given: context({ namespace_options: { network: NODE } }),
      expected: { NetworkMode: 'host', UTSMode: 'host' },
    },
    {
      desc: 'AppArmor in the old field',
      given: context({ apparmor_profile: 'localhost/mine' }),
      expected: { SecurityOpt: ['no-new-privileges=false', 'apparmor=mine'] },
    },
    {
      desc: 'SELinux',
      given: context({ selinux_options: { type: 't' } }),
      expected: { SecurityOpt: ['no-new-privileges=false', 'label=type:t'] },
    },
  ])('translates the security context: $desc', ({ given, expected }) =>
    expect(create(given).HostConfig).toMatchObject(expected),
  );

  it('lets the Engine add attributes to json-file records if they are the log itself', () => {
    const spool = { ...NODE_FACTS.spool, isLog: true };
    const { HostConfig: host } = create(MINIMAL, { facts: { spool } });
    expect(host.LogConfig?.Config).toEqual({
      'max-size': '16m',
      'max-file': '4',
      compress: 'false',
      mode: 'blocking',
    });
  });

  it('puts seccomp options first', () => {
    const { HostConfig: host } = create(context({ no_new_privs: true }), { seccomp: ['seccomp=unconfined'] });
    expect(host.SecurityOpt).toEqual(['seccomp=unconfined', 'no-new-privileges']);
    expect(create(MINIMAL, { seccomp: ['seccomp=unconfined'] }).HostConfig.SecurityOpt).toEqual([
      'seccomp=unconfined',
      'no-new-privileges=false',
    ]);
  });

  it('masks nothing for a privileged container', () => {
    const sandbox = { ...SANDBOX, privileged: true };
    const { HostConfig: host } = create(context({ privileged: true, masked_paths: ['/proc/kcore'] }), {
      sandbox,
    });
    expect(host.Privileged).toBe(true);
    expect(host).not.toHaveProperty('MaskedPaths');
    expect(host).not.toHaveProperty('ReadonlyPaths');
  });

  it('refuses unknown and ambient capabilities even for a privileged container, whose dropped capabilities it ignores', () => {
    const sandbox = { ...SANDBOX, privileged: true };
    for (const capabilities of [{ add_capabilities: ['FLYING'] }, { add_ambient_capabilities: ['CHOWN'] }])
      expect(() => create(context({ privileged: true, capabilities }), { sandbox })).toThrow(/_capabilities/);
    const { HostConfig: host } = create(
      context({ privileged: true, capabilities: { drop_capabilities: ['ALL'] } }),
      { sandbox },
    );
    expect(host).not.toHaveProperty('CapDrop');
  });

  it("joins the pod's network and the host's UTS namespace without a security context, in a pod on the host network", () => {
    const sandbox = { ...SANDBOX, namespaces: { ...SANDBOX.namespaces, network: NODE } };
    expect(create(MINIMAL, { sandbox }).HostConfig).toMatchObject({
      NetworkMode: 'container:s1',
      UTSMode: 'host',
    });
  });

  it('sets the runtime, the stop signal, the terminal, and the whole cgroup parent for the driver cgroupfs', () => {
    const given = {
      ...MINIMAL,
      stop_signal: Signal.SIGNAL_SIGUSR1,
      tty: true,
      stdin: true,
      stdin_once: true,
    };
    const body = create(given, { facts: { runtime: 'kata', cgroupDriver: 'cgroupfs' } });
    expect(body).toMatchObject({ StopSignal: 'SIGUSR1', Tty: true, OpenStdin: true, StdinOnce: true });
    expect(body.HostConfig).toMatchObject({
      Runtime: 'kata',
      CgroupParent: '/kubepods.slice/kubepods-pod1.slice',
    });
  });

  it.each<{ desc: string; given: Given; error: string }>([
    {
      desc: 'ambient capabilities',
      given: context({ capabilities: { add_ambient_capabilities: ['NET_RAW'] } }),
      error: 'UNIMPLEMENTED config.linux.security_context.capabilities.add_ambient_capabilities',
    },
    {
      desc: 'NUL in the command',
      given: { ...MINIMAL, command: ['a', 'b\0'] },
      error: 'INVALID_ARGUMENT config.command[1]',
    },
    {
      desc: 'NUL in an argument',
      given: { ...MINIMAL, args: ['\0'] },
      error: 'INVALID_ARGUMENT config.args[0]',
    },
    {
      desc: 'a variable without a name',
      given: { ...MINIMAL, envs: [{ value: Buffer.from('a') }] },
      error: 'INVALID_ARGUMENT config.envs[0].key',
    },
    {
      desc: 'a variable name with =',
      given: { ...MINIMAL, envs: [{ key: 'a=b' }] },
      error: 'INVALID_ARGUMENT config.envs[0].key',
    },
    {
      desc: 'NUL in a variable',
      given: { ...MINIMAL, envs: [{ key: 'a', value: Buffer.from('\0') }] },
      error: 'INVALID_ARGUMENT config.envs[0].value',
    },
    {
      desc: 'a variable that is not UTF-8',
      given: { ...MINIMAL, envs: [{ key: 'a', value: Buffer.from([0xff]) }] },
      error: 'UNIMPLEMENTED config.envs[0].value',
    },
    {
      desc: 'a relative working directory',
      given: { ...MINIMAL, working_dir: 'a' },
      error: 'INVALID_ARGUMENT config.working_dir',
    },
    {
      desc: 'an unknown stop signal',
      given: { ...MINIMAL, stop_signal: unknownEnum(99) },
      error: 'INVALID_ARGUMENT config.stop_signal',
    },
    {
      desc: 'a device without permissions',
      given: { ...MINIMAL, devices: [{ host_path: '/a', container_path: '/a' }] },
      error: 'INVALID_ARGUMENT config.devices[0].permissions',
    },
    {
      desc: 'a device with invalid permissions',
      given: { ...MINIMAL, devices: [{ host_path: '/a', container_path: '/a', permissions: 'rx' }] },
      error: 'INVALID_ARGUMENT config.devices[0].permissions',
    },
    {
      desc: 'a device without a path',
      given: { ...MINIMAL, devices: [{ container_path: '/a', permissions: 'r' }] },
      error: 'INVALID_ARGUMENT config.devices[0].host_path',
    },
    {
      desc: 'a group without a user',
      given: context({ run_as_group: { value: 0 } }),
      error: 'INVALID_ARGUMENT config.linux.security_context.run_as_group',
    },
    {
      desc: 'huge pages without a size',
      given: { ...MINIMAL, linux: { resources: { hugepage_limits: [{ limit: 1 }] } } },
      error: 'INVALID_ARGUMENT config.linux.resources.hugepage_limits[0].page_size',
    },
    {
      desc: 'an old AppArmor field with an unknown form',
      given: context({ apparmor_profile: 'x' }),
      error: 'INVALID_ARGUMENT config.linux.security_context.apparmor_profile',
    },
    {
      desc: 'CDI devices on an Engine without the feature',
      given: { ...MINIMAL, CDI_devices: [{ name: 'vendor.com/gpu=0' }] },
      error: 'UNIMPLEMENTED config.CDI_devices[0].name',
    },
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => create(given))).toBe(error));
});

const DEVICE = { container_path: '/dev/c', host_path: '/dev/h', permissions: 'rwm' };

const devices = (given: Given, features = engineFeatures()) =>
  toEngineDevices(decoded('ContainerConfig', given), features, 'config');

describe('devices', () => {
  it('are passed by path', () => {
    expect(devices({ devices: [DEVICE] })).toEqual({
      Devices: [{ PathOnHost: '/dev/h', PathInContainer: '/dev/c', CgroupPermissions: 'rwm' }],
    });
  });

  it.each([
    [{ permissions: '' }, 'permissions'],
    [{ permissions: 'rx' }, 'permissions'],
    [{ host_path: 'dev' }, 'host_path'],
    [{ host_path: '/dev\0' }, 'host_path'],
    [{ container_path: '' }, 'container_path'],
  ])('are refused with %p', (given, field) => {
    expect(codeAndField(() => devices({ devices: [DEVICE, { ...DEVICE, ...given }] }))).toBe(
      `INVALID_ARGUMENT config.devices[1].${field}`,
    );
  });
});

describe('two devices', () => {
  const two = (second: Partial<typeof DEVICE>, first: Partial<typeof DEVICE> = {}): string =>
    thrownBy(() =>
      devices({
        devices: [
          { ...DEVICE, ...first },
          { ...DEVICE, ...second },
        ],
      }),
    );

  it.each([
    [{ host_path: '/dev/other' }, '/dev/c'],
    [{ host_path: '/dev/other', container_path: '//dev/./c/' }, '//dev/./c/'],
  ])('in one place are refused: %j', (second, shown) => {
    expect(two(second)).toMatch(
      `INVALID_ARGUMENT config.devices[1].container_path: "${shown}" is already used by config.devices[0]`,
    );
  });

  it.each(['/', '//', '/dev/..'])(
    'are refused if the second has the path %s, which is the root',
    (container_path) => {
      expect(two({ container_path })).toMatch(
        /^INVALID_ARGUMENT config\.devices\[1\]\.container_path: .* is the root/,
      );
    },
  );

  it('may be the same device, each with a part of its permissions', () => {
    const parts = [
      { ...DEVICE, permissions: 'r' },
      { ...DEVICE, permissions: 'w' },
    ];
    expect(devices({ devices: parts }).Devices.map(({ CgroupPermissions }) => CgroupPermissions)).toEqual([
      'r',
      'w',
    ]);
  });
});

describe('CDI devices', () => {
  it('are one request, in their order', () => {
    const names = ['vendor.com/gpu=0', 'k8s.gpu.nvidia.com/claim=4f-gpu:1.2'];
    expect(devices({ CDI_devices: names.map((name) => ({ name })) }).DeviceRequests).toEqual([
      { Driver: 'cdi', DeviceIDs: names },
    ]);
  });

  it.each(['', 'gpu', 'vendor.com/gpu', 'vendor.com=0', 'vendor.com/gpu=', 'a b/c=d'])(
    'may not have the name %p',
    (name) => {
      expect(codeAndField(() => devices({ CDI_devices: [{ name }] }))).toBe(
        'INVALID_ARGUMENT config.CDI_devices[0].name',
      );
    },
  );

  it('are refused by an Engine without the feature, with advice', () => {
    const refusal = thrownBy(() => devices({ CDI_devices: [{ name: 'vendor.com/gpu=0' }] }, NO_FEATURES));
    expect(refusal).toMatch(
      /^UNIMPLEMENTED config\.CDI_devices\[0\]\.name: .*25\.0.*daemon\.json.*20\.10\.24/,
    );
  });
});
