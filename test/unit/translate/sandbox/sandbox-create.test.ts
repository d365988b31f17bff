import type { EngineContainerCreate } from '../../../../src/engine/types';
import { NamespaceMode, SecurityProfileType } from '../../../../src/proto/enums';
import type { SandboxMetadata } from '../../../../src/store/records';
import {
  checkDns,
  checkSandbox,
  hostName,
  type SandboxSurroundings,
  toSandboxCreate,
} from '../../../../src/translate/sandbox/sandbox-create';
import { sandboxFromInspect } from '../../../../src/translate/sandbox/sandbox-record';
import { sandboxEngineName } from '../../../../src/translate/shared/names';
import { codeAndField, thrownBy } from '../../support/errors';
import { recordedInspect } from '../../support/inspects';
import { decoded, unknownEnum } from '../../support/wire';

type Given = Parameters<typeof decoded<'PodSandboxConfig'>>[1];
const { CONTAINER, NODE } = NamespaceMode;
const METADATA = { name: 'web-0', namespace: 'shop', uid: 'uid-1', attempt: 2 };
const MINIMAL: Given = { metadata: METADATA };

const NODE_FACTS: SandboxSurroundings = {
  image: 'registry.k8s.io/pause:3.10',
  networkMode: 'bridge',
  cgroupDriver: 'systemd',
  cgroupVersion: '2',
  ipv6: true,
  oomFloor: -1000,
  apparmor: true,
  runtimes: ['kata', 'runc'],
  apiVersion: '1.41',
};

/** The request that kubelet sends for an ordinary pod. */
const KUBELET: Given = {
  metadata: METADATA,
  hostname: 'web-0',
  log_directory: '/var/log/pods/shop_web-0_uid-1',
  dns_config: { servers: ['10.96.0.10'], searches: ['shop.svc.cluster.local'], options: ['ndots:5'] },
  port_mappings: [{ container_port: 80, host_port: 8080 }, { container_port: 443 }],
  labels: { app: 'web', 'io.kubernetes.pod.name': 'web-0' },
  annotations: { 'kubernetes.io/config.seen': 'now' },
  linux: {
    cgroup_parent: '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice',
    sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
    security_context: {
      namespace_options: { pid: CONTAINER },
      run_as_user: { value: 1000 },
      run_as_group: { value: 2000 },
      supplemental_groups: [3000],
      readonly_rootfs: true,
      seccomp: { profile_type: SecurityProfileType.RuntimeDefault },
      selinux_options: { level: 's0:c1' },
    },
    overhead: {},
    resources: { memory_limit_in_bytes: 1 << 27 },
  },
};

function create(
  given: Given,
  { handler = '', facts = {}, seccomp = [] as string[] } = {},
): EngineContainerCreate {
  const checked = checkSandbox(decoded('PodSandboxConfig', given), handler);
  return toSandboxCreate(checked, { ...NODE_FACTS, ...facts }, seccomp);
}

/** Returns the record of the sandbox that the Engine makes of a body. */
function recordOf(body: EngineContainerCreate, name = 'mine') {
  const said = recordedInspect('sandbox-running');
  const config = { ...said.Config, ...body, Labels: { vendor: "the image's", ...body.Labels } };
  const inspect = {
    ...said,
    Name: `/${name}`,
    Config: config,
    HostConfig: { ...said.HostConfig, ...body.HostConfig },
  };
  return sandboxFromInspect(inspect, { ready: true, ips: ['10.0.0.1'] });
}

describe('toSandboxCreate', () => {
  it("translates kubelet's ordinary pod completely", () => {
    const { Labels: labels, ...body } = create(KUBELET);
    expect(body).toEqual({
      Image: 'registry.k8s.io/pause:3.10',
      Hostname: 'web-0',
      User: '1000:2000',
      ExposedPorts: { '80/tcp': {} },
      Healthcheck: { Test: ['NONE'] },
      HostConfig: {
        NetworkMode: 'bridge',
        IpcMode: 'shareable',
        Init: false,
        UsernsMode: 'host',
        CgroupnsMode: 'private',
        ShmSize: 67_108_864,
        PortBindings: {
          '80/tcp': [
            { HostIp: '0.0.0.0', HostPort: '8080' },
            { HostIp: '::', HostPort: '8080' },
          ],
        },
        CgroupParent: 'kubepods-burstable-pod1.slice',
        Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv6.conf.lo.disable_ipv6': '0' },
        ReadonlyRootfs: true,
        GroupAdd: ['3000'],
        SecurityOpt: ['no-new-privileges', 'label=level:s0:c1'],
        Dns: ['10.96.0.10'],
        DnsSearch: ['shop.svc.cluster.local'],
        DnsOptions: ['ndots:5'],
        CpuShares: 2,
        OomScoreAdj: -998,
        RestartPolicy: { Name: 'no' },
        LogConfig: { Type: 'none', Config: {} },
      },
    });
    const { 'io.dockbridge.cri': ours, ...shared } = labels;
    expect(shared).toEqual({
      app: 'web',
      'io.kubernetes.pod.name': 'web-0',
      'annotation.kubernetes.io/config.seen': 'now',
      'io.kubernetes.docker.type': 'podsandbox',
      'io.kubernetes.container.name': 'POD',
    });
    expect(JSON.parse(ours!)).toMatchObject({ v: 1, metadata: METADATA });
  });

  it.each([
    ['on a node without IPv6', {}, { ipv6: false }, {}],
    [
      'if the pod sets the value',
      { 'net.ipv6.conf.lo.disable_ipv6': '1' },
      {},
      { 'net.ipv6.conf.lo.disable_ipv6': '1' },
    ],
    [
      'if the pod wants no IPv6',
      { 'net.ipv6.conf.all.disable_ipv6': '1' },
      {},
      { 'net.ipv6.conf.all.disable_ipv6': '1' },
    ],
  ])('leaves ::1 alone %s', (_, sysctls, facts, expected) => {
    const { HostConfig } = create({ ...MINIMAL, linux: { sysctls: { ...sysctls } } }, { facts });
    expect(HostConfig.Sysctls).toEqual(expected);
  });

  it("leaves ::1 alone on the node's network", () => {
    const linux = { security_context: { namespace_options: { network: NODE } } };
    expect(create({ ...MINIMAL, linux }).HostConfig.Sysctls).toEqual({});
  });

  it('distinguishes an empty dns_config from none', () => {
    const { HostConfig, Labels } = create({ ...MINIMAL, dns_config: {} });
    expect(HostConfig).toMatchObject({ Dns: [], DnsSearch: [], DnsOptions: [] });
    const { dns } = JSON.parse(Labels['io.dockbridge.cri']!) as { dns?: unknown };
    expect(dns).toEqual({ servers: [], searches: [], options: [] });
    expect(JSON.parse(create(MINIMAL).Labels['io.dockbridge.cri']!)).not.toHaveProperty('dns');
  });

  it('translates the minimal request', () => {
    const { Labels: labels, ...body } = create(MINIMAL, { facts: { cgroupDriver: 'cgroupfs' } });
    expect(body).toEqual({
      Image: 'registry.k8s.io/pause:3.10',
      Hostname: '',
      ExposedPorts: {},
      Healthcheck: { Test: ['NONE'] },
      HostConfig: {
        NetworkMode: 'bridge',
        IpcMode: 'shareable',
        Init: false,
        UsernsMode: 'host',
        CgroupnsMode: 'private',
        ShmSize: 67_108_864,
        PortBindings: {},
        CgroupParent: '',
        Sysctls: { 'net.ipv6.conf.lo.disable_ipv6': '0' },
        ReadonlyRootfs: false,
        GroupAdd: [],
        SecurityOpt: ['no-new-privileges'],
        Dns: [],
        DnsSearch: [],
        DnsOptions: [],
        CpuShares: 2,
        OomScoreAdj: -998,
        RestartPolicy: { Name: 'no' },
        LogConfig: { Type: 'none', Config: {} },
      },
    });
    expect(Object.keys(labels).sort()).toEqual([
      'io.dockbridge.cri',
      'io.kubernetes.container.name',
      'io.kubernetes.docker.type',
    ]);
  });

  it('gives a pod on the host network no ports and no name of its own', () => {
    const body = create({
      ...KUBELET,
      linux: { security_context: { namespace_options: { network: NODE, pid: NODE, ipc: NODE } } },
    });
    expect(body.HostConfig).toMatchObject({ NetworkMode: 'host', IpcMode: 'host', PidMode: 'host' });
    expect([body.Hostname, body.ExposedPorts, body.HostConfig.PortBindings]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it.each([
    { desc: 'the default', handler: '', runtime: undefined },
    { desc: "cri-dockerd's name of the default", handler: 'docker', runtime: undefined },
    { desc: 'a known handler', handler: 'kata', runtime: 'kata' },
  ])('sets the runtime handler: $desc', ({ handler, runtime }) => {
    expect(create(MINIMAL, { handler }).HostConfig.Runtime).toBe(runtime);
  });

  it('refuses an unknown runtime handler, and names the known ones', () => {
    expect(thrownBy(() => create(MINIMAL, { handler: 'gvisor' }))).toMatch(
      /^INVALID_ARGUMENT runtime_handler: "gvisor" .*kata, runc/,
    );
  });

  it('sets all security options', () => {
    const body = create(
      {
        ...MINIMAL,
        linux: {
          security_context: {
            apparmor: { profile_type: SecurityProfileType.Localhost, localhost_ref: 'mine' },
          },
        },
      },
      { seccomp: ['seccomp={}'] },
    );
    expect(body.HostConfig.SecurityOpt).toEqual(['no-new-privileges', 'seccomp={}', 'apparmor=mine']);
  });

  it("clamps the OOM score to the kernel's limit", () => {
    expect(create(MINIMAL, { facts: { oomFloor: 0 } }).HostConfig.OomScoreAdj).toBe(0);
  });

  it.each([
    { desc: "kubelet's pod", given: KUBELET, handler: 'kata' },
    { desc: 'the minimal pod', given: MINIMAL, handler: '' },
    {
      desc: 'labels that clash with ours',
      given: {
        ...MINIMAL,
        labels: { 'io.dockbridge.cri': 'x', 'annotation.a': 'b' },
        annotations: { a: 'c' },
      },
      handler: '',
    },
    {
      desc: 'underscores in the names',
      given: { metadata: { ...METADATA, name: 'a_b', namespace: 'c_d' } },
      handler: '',
    },
  ])('makes a body that is read back from the Engine unchanged: $desc', ({ given, handler }) => {
    const config = decoded('PodSandboxConfig', given);
    const metadata = { ...METADATA, ...given.metadata };
    const body = create(given, { handler });
    expect(recordOf(body, sandboxEngineName(metadata as SandboxMetadata))).toMatchObject({
      metadata,
      labels: config.labels,
      annotations: config.annotations,
      logDirectory: config.log_directory,
      runtimeHandler: handler,
      hostname: config.hostname,
      cgroupParent: config.linux?.cgroup_parent ?? '',
      privileged: false,
    });
  });
});

describe('checkSandbox', () => {
  const context = (over: object): Given => ({ ...MINIMAL, linux: { security_context: over } });

  it('refuses a missing config', () => {
    expect(codeAndField(() => checkSandbox(null, ''))).toBe('INVALID_ARGUMENT config');
  });

  it.each<{ desc: string; given: Given; error: string }>([
    { desc: 'no metadata', given: {}, error: 'INVALID_ARGUMENT config.metadata' },
    {
      desc: 'no name',
      given: { metadata: { ...METADATA, name: '' } },
      error: 'INVALID_ARGUMENT config.metadata.name',
    },
    {
      desc: 'NUL in the name',
      given: { metadata: { ...METADATA, name: 'a\0' } },
      error: 'INVALID_ARGUMENT config.metadata.name',
    },
    {
      desc: 'a slash in the name',
      given: { metadata: { ...METADATA, name: 'a/b' } },
      error: 'INVALID_ARGUMENT config.metadata.name',
    },
    {
      desc: 'no namespace',
      given: { metadata: { ...METADATA, namespace: '' } },
      error: 'INVALID_ARGUMENT config.metadata.namespace',
    },
    {
      desc: 'no uid',
      given: { metadata: { ...METADATA, uid: '' } },
      error: 'INVALID_ARGUMENT config.metadata.uid',
    },
    {
      desc: 'NUL in the hostname',
      given: { ...MINIMAL, hostname: '\0' },
      error: 'INVALID_ARGUMENT config.hostname',
    },
    {
      desc: 'NUL in the log directory',
      given: { ...MINIMAL, log_directory: '/\0' },
      error: 'INVALID_ARGUMENT config.log_directory',
    },
    {
      desc: 'a relative log directory',
      given: { ...MINIMAL, log_directory: '../logs' },
      error: 'INVALID_ARGUMENT config.log_directory',
    },
    {
      desc: 'a label of 10 MiB',
      given: { ...MINIMAL, labels: { a: 'x'.repeat(10 << 20) } },
      error: 'INVALID_ARGUMENT config.labels',
    },
    {
      desc: 'an annotation of 10 MiB',
      given: { ...MINIMAL, annotations: { a: 'x'.repeat(10 << 20) } },
      error: 'INVALID_ARGUMENT config.annotations',
    },
    {
      desc: 'NUL in a sysctl',
      given: { ...MINIMAL, linux: { sysctls: { a: '\0' } } },
      error: 'INVALID_ARGUMENT config.linux.sysctls["a"]',
    },
    {
      desc: 'an invalid port',
      given: { ...MINIMAL, port_mappings: [{ host_port: -1 }] },
      error: 'INVALID_ARGUMENT config.port_mappings[0].host_port',
    },
    { desc: 'Windows', given: { ...MINIMAL, windows: {} }, error: 'UNIMPLEMENTED config.windows' },
    {
      desc: 'an unknown namespace mode',
      given: context({ namespace_options: { network: unknownEnum(7) } }),
      error: 'INVALID_ARGUMENT config.linux.security_context.namespace_options.network',
    },
    {
      desc: 'an unknown profile type',
      given: context({ seccomp: { profile_type: unknownEnum(7) } }),
      error: 'INVALID_ARGUMENT config.linux.security_context.seccomp.profile_type',
    },
  ])('refuses $desc', ({ given, error }) => {
    expect(codeAndField(() => checkSandbox(decoded('PodSandboxConfig', given), ''))).toBe(error);
  });

  it.each<{ desc: string; given: Given; error: string }>([
    {
      desc: 'a group without a user',
      given: context({ run_as_group: { value: 1 } }),
      error: 'INVALID_ARGUMENT config.linux.security_context.run_as_group',
    },
    {
      desc: 'an AppArmor profile without a name',
      given: context({ apparmor: { profile_type: SecurityProfileType.Localhost } }),
      error: 'INVALID_ARGUMENT config.linux.security_context.apparmor.localhost_ref',
    },
  ])('leaves it to toSandboxCreate to refuse $desc', ({ given, error }) =>
    expect(codeAndField(() => create(given))).toBe(error),
  );

  it.each([
    { desc: 'no context', given: MINIMAL, seccomp: { kind: 'engine-default' } },
    { desc: 'no profile', given: context({}), seccomp: { kind: 'engine-default' } },
    {
      desc: 'Unconfined',
      given: context({ seccomp: { profile_type: SecurityProfileType.Unconfined } }),
      seccomp: { kind: 'unconfined' },
    },
  ])('sets seccomp: $desc', ({ given, seccomp }) => {
    expect(checkSandbox(decoded('PodSandboxConfig', given), '').seccomp).toEqual(seccomp);
  });
});

const parts = (length: number): string => `${'a'.repeat(length - 32)}.${'b'.repeat(31)}`;

it.each(['', 'a', 'A-1', 'web-0.nginx.default', 'a_b', 'a'.repeat(63), parts(64)])(
  'a host name may be "%s"',
  (name) => {
    expect(hostName(name, 'f')).toBe(name);
  },
);

it.each([
  ['a b', /^INVALID_ARGUMENT f: "a b" is not a host name/],
  ['a\nb', /^INVALID_ARGUMENT f: "a\\nb" is not a host name/],
  ['-a', /not a host name/],
  ['a.', /not a host name/],
  ['ä', /not a host name/],
  ['a'.repeat(64), /a part of "a+" has more than 63/],
  [parts(65), /has 65 characters, at most 64/],
])('a host name may not be "%s"', (name, why) => {
  expect(thrownBy(() => hostName(name, 'f'))).toMatch(why);
});

const dns = (config: object): void => checkDns(decoded('DNSConfig', config), 'f');

it('DNS settings of real nodes are accepted', () => {
  dns({
    servers: ['10.0.0.10', 'fd00::1', 'fe80::1%eth0'],
    searches: ['a.test', '.', '_x.a'],
    options: ['ndots:5', 'rotate'],
  });
});

it.each([
  [{ servers: ['nope'] }, /^INVALID_ARGUMENT f\.servers\[0\]: "nope" is not an IP address/],
  [{ servers: ['1.2.3'] }, /servers\[0\]/],
  [{ servers: ['10.0.0.1%'] }, /servers\[0\]/],
  [{ servers: ['10.0.0.1\noptions ndots:9'] }, /servers\[0\]/],
  [{ servers: ['10.0.0.1', ''] }, /servers\[1\]/],
  [{ searches: ['a b'] }, /^INVALID_ARGUMENT f\.searches\[0\]: "a b" is not a valid domain/],
  [{ searches: ['a\nnameserver 192.0.2.1'] }, /searches\[0\]/],
  [{ options: ['ndots:5', ''] }, /^INVALID_ARGUMENT f\.options\[1\]: "" is not a valid option/],
])('DNS settings may not be %j', (config, why) => {
  expect(thrownBy(() => dns(config))).toMatch(why);
});
