import type { cri } from '../../src/proto';
import { NamespaceMode, SecurityProfileType } from '../../src/proto/enums';
import { BusyDaemon } from './support/busy-daemon';
import { TEST_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import { containerConfig, createContainer, FOREVER, podConfig, runPod } from './support/pods';

const busy = new BusyDaemon();
beforeAll(() => busy.start());
afterAll(() => busy.stop());
afterEach(() => busy.expectUntouched());

interface Case {
  readonly field: RegExp;
  readonly code?: 'INVALID_ARGUMENT' | 'UNIMPLEMENTED' | 'FAILED_PRECONDITION' | 'NOT_FOUND' | 'UNKNOWN';
}
type Cases<Config> = Record<string, Case & { config: () => Config }>;

const METADATA = { name: 'p', namespace: 'n', uid: 'u', attempt: 0 };
const LARGE = 'x'.repeat(10 * 1024 * 1024);

function sandboxContext(context: cri.ILinuxSandboxSecurityContext): cri.IPodSandboxConfig {
  return { metadata: METADATA, hostname: 'h', linux: { security_context: context } };
}

const SANDBOXES: Cases<cri.IPodSandboxConfig> = {
  'no metadata': { field: /^config\.metadata: /, config: () => ({}) },
  'no name': { field: /^config\.metadata\.name: /, config: () => ({ metadata: { ...METADATA, name: '' } }) },
  'no namespace': {
    field: /^config\.metadata\.namespace: /,
    config: () => ({ metadata: { ...METADATA, namespace: '' } }),
  },
  'no uid': { field: /^config\.metadata\.uid: /, config: () => ({ metadata: { ...METADATA, uid: '' } }) },
  'NUL in the name': {
    field: /^config\.metadata\.name: .*NUL/,
    config: () => ({ metadata: { ...METADATA, name: 'a\0b' } }),
  },
  'a path as name': {
    field: /^config\.metadata\.name: /,
    config: () => ({ metadata: { ...METADATA, name: '../../etc' } }),
  },
  'a name of 10 MiB': {
    field: /^config\.metadata\.name: /,
    config: () => ({ metadata: { ...METADATA, name: LARGE } }),
  },
  'NUL in the host name': {
    field: /^config\.hostname: /,
    config: () => ({ metadata: METADATA, hostname: 'a\0' }),
  },
  'a host name of 65 characters': {
    field: /^config\.hostname: .* has 65 characters/,
    config: () => ({ metadata: METADATA, hostname: `${'a'.repeat(32)}.${'b'.repeat(32)}` }),
  },
  'a host name with a part of 64 characters': {
    field: /^config\.hostname: .*63/,
    config: () => ({ metadata: METADATA, hostname: 'a'.repeat(64) }),
  },
  'a host name of two words': {
    field: /^config\.hostname: "a b" is no host name/,
    config: () => ({ metadata: METADATA, hostname: 'a b' }),
  },
  'a host name of two lines': {
    field: /^config\.hostname: "a\\nb" is no host name/,
    config: () => ({ metadata: METADATA, hostname: 'a\nb' }),
  },
  'a DNS server that is no address': {
    field: /^config\.dns_config\.servers\[1\]: "nope" is no IP address/,
    config: () => ({ metadata: METADATA, dns_config: { servers: ['10.0.0.10', 'nope'] } }),
  },
  'an empty DNS server': {
    field: /^config\.dns_config\.servers\[0\]: ""/,
    config: () => ({ metadata: METADATA, dns_config: { servers: [''] } }),
  },
  'a search domain that adds a line': {
    field: /^config\.dns_config\.searches\[0\]: /,
    config: () => ({ metadata: METADATA, dns_config: { searches: ['a\nnameserver 192.0.2.1'] } }),
  },
  'a search domain of two words': {
    field: /^config\.dns_config\.searches\[0\]: "a b"/,
    config: () => ({ metadata: METADATA, dns_config: { searches: ['a b'] } }),
  },
  'an empty DNS option': {
    field: /^config\.dns_config\.options\[1\]: ""/,
    config: () => ({ metadata: METADATA, dns_config: { options: ['ndots:5', ''] } }),
  },
  'a host address that is none': {
    field: /^config\.port_mappings\[0\]\.host_ip: "nope" is no IP address/,
    config: () => ({
      metadata: METADATA,
      port_mappings: [{ container_port: 80, host_port: 8099, host_ip: 'nope' }],
    }),
  },
  'one host port twice': {
    field: /^config\.port_mappings\[1\]\.host_port: 8099 is published by config\.port_mappings\[0\]/,
    config: () => ({
      metadata: METADATA,
      port_mappings: [
        { container_port: 80, host_port: 8099 },
        { container_port: 81, host_port: 8099 },
      ],
    }),
  },
  'NUL in the log directory': {
    field: /^config\.log_directory: /,
    config: () => ({ metadata: METADATA, log_directory: '/a\0' }),
  },
  'a label of 10 MiB': {
    field: /^config\.labels: .*"a"/,
    config: () => ({ metadata: METADATA, labels: { a: LARGE } }),
  },
  'a label key of 10 MiB': {
    field: /^config\.labels: /,
    config: () => ({ metadata: METADATA, labels: { [LARGE]: 'a' } }),
  },
  'a label without key': {
    field: /^config\.labels/,
    config: () => ({ metadata: METADATA, labels: { '': 'a' } }),
  },
  'NUL in a label': {
    field: /^config\.labels\["a"\]: .*NUL/,
    config: () => ({ metadata: METADATA, labels: { a: '\0' } }),
  },
  'an annotation of 10 MiB': {
    field: /^config\.annotations: /,
    config: () => ({ metadata: METADATA, annotations: { a: LARGE } }),
  },
  'an unknown network mode': {
    field: /security_context\.namespace_options\.network: .*7/,
    config: () => sandboxContext({ namespace_options: { network: 7 as NamespaceMode } }),
  },
  'a network of each container': {
    field: /namespace_options\.network: /,
    config: () => sandboxContext({ namespace_options: { network: NamespaceMode.CONTAINER } }),
  },
  'a target for a sandbox': {
    field: /namespace_options\.pid: /,
    config: () => sandboxContext({ namespace_options: { pid: NamespaceMode.TARGET, target_id: 'x' } }),
  },
  'an unknown ipc mode': {
    field: /namespace_options\.ipc: /,
    config: () => sandboxContext({ namespace_options: { ipc: NamespaceMode.CONTAINER } }),
  },
  'a user namespace': {
    field: /namespace_options\.userns_options: /,
    code: 'UNIMPLEMENTED',
    config: () => sandboxContext({ namespace_options: { userns_options: { mode: NamespaceMode.POD } } }),
  },
  'an unknown user namespace mode': {
    field: /userns_options\.mode: /,
    config: () => sandboxContext({ namespace_options: { userns_options: { mode: 99 as NamespaceMode } } }),
  },
  'an unknown seccomp type': {
    field: /security_context\.seccomp\.profile_type: .*9/,
    config: () => sandboxContext({ seccomp: { profile_type: 9 as SecurityProfileType } }),
  },
  'a relative seccomp profile': {
    field: /seccomp\.localhost_ref: /,
    config: () =>
      sandboxContext({ seccomp: { profile_type: SecurityProfileType.Localhost, localhost_ref: '../x' } }),
  },
  'an absent seccomp profile': {
    field: /seccomp\.localhost_ref: /,
    config: () =>
      sandboxContext({ seccomp: { profile_type: SecurityProfileType.Localhost, localhost_ref: '/no/such' } }),
  },
  'a group without a user': {
    field: /security_context\.run_as_group: /,
    config: () => sandboxContext({ run_as_group: { value: 1 } }),
  },
  'a negative user': { field: /run_as_user: /, config: () => sandboxContext({ run_as_user: { value: -1 } }) },
  'a group beyond 32 bits': {
    field: /supplemental_groups\[1\]: /,
    config: () => sandboxContext({ supplemental_groups: [1, 2 ** 40] }),
  },
  'an unknown groups policy': {
    field: /supplemental_groups_policy: /,
    config: () => sandboxContext({ supplemental_groups_policy: 5 as 1 }),
  },
  'an unknown protocol': {
    field: /^config\.port_mappings\[0\]\.protocol: /,
    config: () => ({
      metadata: METADATA,
      port_mappings: [{ protocol: 9 as 0, host_port: 1, container_port: 1 }],
    }),
  },
  'a port beyond 65535': {
    field: /^config\.port_mappings\[1\]\.container_port: /,
    config: () => ({ metadata: METADATA, port_mappings: [{}, { host_port: 1, container_port: 70_000 }] }),
  },
  'a negative port': {
    field: /^config\.port_mappings\[0\]\.host_port: /,
    config: () => ({ metadata: METADATA, port_mappings: [{ host_port: -1, container_port: 80 }] }),
  },
  'a Windows pod': {
    field: /^config\.windows: /,
    code: 'UNIMPLEMENTED',
    config: () => ({ metadata: METADATA, windows: {} }),
  },
};

describe('RunPodSandbox with', () => {
  it.each(Object.entries(SANDBOXES))('%s', async (_what, { config, field, code = 'INVALID_ARGUMENT' }) => {
    await expectFailure(busy.client.call('RunPodSandbox', { config: config() }), code, field);
  });

  it('an unknown runtime handler', async () => {
    const call = busy.client.call('RunPodSandbox', { config: podConfig(busy.test), runtime_handler: 'kata' });
    await expectFailure(call, 'INVALID_ARGUMENT', /^runtime_handler: "kata".*runc/);
  });

  it('a NUL in the runtime handler', async () => {
    const call = busy.client.call('RunPodSandbox', { config: podConfig(busy.test), runtime_handler: 'a\0' });
    await expectFailure(call, 'INVALID_ARGUMENT', /^runtime_handler: /);
  });

  it('an attempt of 2^32-1, which is a valid one', async () => {
    const config = podConfig(busy.test);
    config.metadata!.attempt = 2 ** 32 - 1;
    const id = await runPod(busy.test, config);
    const { status: pod_status } = await busy.client.call('PodSandboxStatus', { pod_sandbox_id: id });
    expect(pod_status?.metadata?.attempt).toBe(2 ** 32 - 1);
    await busy.client.call('RemovePodSandbox', { pod_sandbox_id: id });
  });
});

function withContext(context: cri.ILinuxContainerSecurityContext): cri.IContainerConfig {
  return containerConfig('c', FOREVER, { linux: { security_context: context } });
}
function withMount(mount: cri.IMount): cri.IContainerConfig {
  return containerConfig('c', FOREVER, { mounts: [{ container_path: '/a', host_path: '/tmp', ...mount }] });
}
function withResources(resources: cri.ILinuxContainerResources): cri.IContainerConfig {
  return containerConfig('c', FOREVER, { linux: { resources } });
}

const CONTAINERS: Cases<cri.IContainerConfig | undefined> = {
  'no configuration': { field: /^config: /, config: () => undefined },
  'no metadata': { field: /^config\.metadata: /, config: () => ({}) },
  'no name': { field: /^config\.metadata\.name: /, config: () => containerConfig('', FOREVER) },
  'NUL in the name': {
    field: /^config\.metadata\.name: .*NUL/,
    config: () => containerConfig('a\0', FOREVER),
  },
  'no image': { field: /^config\.image: /, config: () => ({ metadata: { name: 'c' } }) },
  'an empty image': {
    field: /^config\.image\.image: /,
    config: () => containerConfig('c', FOREVER, { image: {} }),
  },
  'an invalid image': {
    field: /^config\.image\.image: .*"A B"/,
    config: () => containerConfig('c', FOREVER, { image: { image: 'A B' } }),
  },
  'an image name of 10 MiB': {
    field: /^config\.image\.image: /,
    config: () => containerConfig('c', FOREVER, { image: { image: LARGE } }),
  },
  'an unknown image': {
    field: /^config\.image\.image: .*no\.such/,
    code: 'NOT_FOUND',
    config: () => containerConfig('c', FOREVER, { image: { image: 'no.such/image:1' } }),
  },
  'a label of 10 MiB': {
    field: /^config\.labels: /,
    config: () => containerConfig('c', FOREVER, { labels: { a: LARGE } }),
  },
  'an annotation with NUL': {
    field: /^config\.annotations/,
    config: () => containerConfig('c', FOREVER, { annotations: { a: '\0' } }),
  },
  'a log path that leads out': {
    field: /^config\.log_path: .*etc\/x/,
    config: () => containerConfig('c', FOREVER, { log_path: '../../etc/x' }),
  },
  'a log path that is the directory': {
    field: /^config\.log_path: /,
    config: () => containerConfig('c', FOREVER, { log_path: 'a/..' }),
  },
  'NUL in the log path': {
    field: /^config\.log_path: .*NUL/,
    config: () => containerConfig('c', FOREVER, { log_path: 'a\0' }),
  },
  'a log path of 10 MiB': {
    field: /^config\.log_path: /,
    config: () => containerConfig('c', FOREVER, { log_path: LARGE }),
  },
  'a relative working directory': {
    field: /^config\.working_dir: /,
    config: () => containerConfig('c', FOREVER, { working_dir: 'x' }),
  },
  'a relative working directory of 10 MiB': {
    field: /^config\.working_dir: /,
    config: () => containerConfig('c', FOREVER, { working_dir: LARGE }),
  },
  'NUL in a command': {
    field: /^config\.command\[1\]: .*NUL/,
    config: () => containerConfig('c', '', { command: ['a', '\0'] }),
  },
  'NUL in an argument': {
    field: /^config\.args\[0\]: .*NUL/,
    config: () => containerConfig('c', '', { args: ['\0'] }),
  },
  'no key in the environment': {
    field: /^config\.envs\[0\]\.key: /,
    config: () => containerConfig('c', FOREVER, { envs: [{ value: Buffer.from('a') }] }),
  },
  '= in an environment key': {
    field: /^config\.envs\[1\]\.key: .*=/,
    config: () =>
      containerConfig('c', FOREVER, { envs: [{ key: 'A' }, { key: 'B=C', value: Buffer.from('a') }] }),
  },
  'NUL in the environment': {
    field: /^config\.envs\[0\]\.value: .*NUL/,
    config: () => containerConfig('c', FOREVER, { envs: [{ key: 'A', value: Buffer.from('\0') }] }),
  },
  'an environment that is not UTF-8': {
    field: /^config\.envs\[0\]\.value: .*UTF-8/,
    code: 'UNIMPLEMENTED',
    config: () => containerConfig('c', FOREVER, { envs: [{ key: 'A', value: Buffer.from([0xff, 0xfe]) }] }),
  },
  'an unknown stop signal': {
    field: /^config\.stop_signal: /,
    config: () => containerConfig('c', FOREVER, { stop_signal: 999 as 1 }),
  },
  'a device without permissions': {
    field: /^config\.devices\[0\]\.permissions: /,
    config: () =>
      containerConfig('c', FOREVER, { devices: [{ host_path: '/dev/null', container_path: '/dev/x' }] }),
  },
  'a device with a permission that is none': {
    field: /^config\.devices\[0\]\.permissions: /,
    config: () =>
      containerConfig('c', FOREVER, {
        devices: [{ host_path: '/dev/null', container_path: '/dev/x', permissions: 'x' }],
      }),
  },
  'a relative device': {
    field: /^config\.devices\[0\]\.host_path: /,
    config: () =>
      containerConfig('c', FOREVER, {
        devices: [{ host_path: 'null', container_path: '/dev/x', permissions: 'r' }],
      }),
  },
  'a CDI device without vendor': {
    field: /^config\.CDI_devices\[0\]\.name: /,
    config: () => containerConfig('c', FOREVER, { CDI_devices: [{ name: 'gpu=0' }] }),
  },
  'a Windows container': {
    field: /^config\.windows: /,
    code: 'UNIMPLEMENTED',
    config: () => containerConfig('c', FOREVER, { windows: {} }),
  },

  'a relative mount': {
    field: /^config\.mounts\[0\]\.container_path: /,
    config: () => withMount({ container_path: 'a' }),
  },
  'a relative mount source': {
    field: /^config\.mounts\[0\]\.host_path: /,
    config: () => withMount({ host_path: 'a' }),
  },
  'a mount without source': {
    field: /^config\.mounts\[0\]\.host_path: /,
    config: () => withMount({ host_path: '' }),
  },
  'NUL in a mount': {
    field: /^config\.mounts\[0\]\.container_path: .*NUL/,
    config: () => withMount({ container_path: '/a\0' }),
  },
  'a mount on the root': {
    field: /^config\.mounts\[0\]\.container_path: "\/a\/\.\." is the root/,
    config: () => withMount({ container_path: '/a/..' }),
  },
  'two mounts on one path': {
    field: /^config\.mounts\[1\]\.container_path: "\/data\/" is the target of config\.mounts\[0\]/,
    config: () =>
      containerConfig('c', FOREVER, {
        mounts: ['/data', '/data/'].map((container_path) => ({ container_path, host_path: '/tmp' })),
      }),
  },
  'a mount whose source is below a file': {
    field: /^config\.mounts\[0\]\.host_path: "\/etc\/passwd\/x" .*\/etc\/passwd is no directory/,
    code: 'FAILED_PRECONDITION',
    config: () => withMount({ host_path: '/etc/passwd/x' }),
  },
  'a masked path that is relative': {
    field: /^config\.linux\.security_context\.masked_paths\[0\]: /,
    config: () => withContext({ masked_paths: ['a'] }),
  },
  'a read-only path that is relative': {
    field: /^config\.linux\.security_context\.readonly_paths\[0\]: /,
    config: () => withContext({ readonly_paths: ['a'] }),
  },
  'a working directory that is a file': {
    field: /^config\.working_dir: /,
    code: 'UNKNOWN',
    config: () => containerConfig('c', FOREVER, { working_dir: '/etc/passwd' }),
  },
  'CPUs that no machine has': {
    field: /^config\.linux\.resources\.cpuset_cpus: /,
    config: () => withResources({ cpuset_cpus: '9999' }),
  },
  'CPUs that this machine has not': {
    field: /^config\.linux\.resources\.cpuset_cpus: /,
    config: () => withResources({ cpuset_cpus: '0,4095' }),
  },
  'CPUs in the wrong order': {
    field: /^config\.linux\.resources\.cpuset_cpus: "1-0" is not a list/,
    config: () => withResources({ cpuset_cpus: '1-0' }),
  },
  'CPUs with a gap in the list': {
    field: /^config\.linux\.resources\.cpuset_cpus: "0,,1" is not a list/,
    config: () => withResources({ cpuset_cpus: '0,,1' }),
  },
  'memory nodes that this machine has not': {
    field: /^config\.linux\.resources\.cpuset_mems: /,
    config: () => withResources({ cpuset_mems: '99' }),
  },
  'a quota below a millisecond': {
    field: /^config\.linux\.resources\.cpu_quota: 500 is not between 1000/,
    config: () => withResources({ cpu_quota: 500, cpu_period: 100_000 }),
  },
  'a period below a millisecond': {
    field: /^config\.linux\.resources\.cpu_period: 500 is not between 1000 and 1000000/,
    config: () => withResources({ cpu_period: 500 }),
  },
  'a period above a second': {
    field: /^config\.linux\.resources\.cpu_period: /,
    config: () => withResources({ cpu_period: 2_000_000 }),
  },
  'shares below the least': {
    field: /^config\.linux\.resources\.cpu_shares: 1 is not between 2 and 262144/,
    config: () => withResources({ cpu_shares: 1 }),
  },
  'swap below memory': {
    field: /^config\.linux\.resources\.memory_swap_limit_in_bytes: .*less than the memory/,
    config: () => withResources({ memory_limit_in_bytes: 64 << 20, memory_swap_limit_in_bytes: 32 << 20 }),
  },
  'swap without memory': {
    field: /^config\.linux\.resources\.memory_swap_limit_in_bytes: needs memory_limit_in_bytes/,
    config: () => withResources({ memory_swap_limit_in_bytes: 64 << 20 }),
  },
  'too little memory': {
    field: /^config\.linux\.resources\.memory_limit_in_bytes: /,
    config: () => withResources({ memory_limit_in_bytes: 1 << 20 }),
  },
  'an unknown propagation': {
    field: /^config\.mounts\[0\]\.propagation: /,
    config: () => withMount({ propagation: 9 as 0 }),
  },
  'a writable image mount': {
    field: /^config\.mounts\[0\]\.readonly: /,
    config: () => withMount({ host_path: '', image: { image: TEST_IMAGE } }),
  },
  'a recursive read-only mount that propagates': {
    field: /^config\.mounts\[0\]\.recursive_read_only: /,
    config: () => withMount({ readonly: true, recursive_read_only: true, propagation: 1 }),
  },
  'a recursive read-only mount that is not read-only': {
    field: /recursive_read_only: .*readonly/,
    config: () => withMount({ recursive_read_only: true }),
  },
  'an ID-mapped mount': {
    field: /uidMappings: /,
    code: 'UNIMPLEMENTED',
    config: () => withMount({ uidMappings: [{ host_id: 1, container_id: 1, length: 1 }] }),
  },

  'huge pages': {
    field: /^config\.linux\.resources\.hugepage_limits\[1\]\.page_size: /,
    config: () =>
      withResources({
        hugepage_limits: [
          { page_size: '2MB', limit: 0 },
          { page_size: '../1GB', limit: 1 },
        ],
      }),
  },
  'raw cgroup values': {
    field: /^config\.linux\.resources\.unified/,
    code: 'UNIMPLEMENTED',
    config: () => withResources({ unified: { 'cgroup.freeze': '1' } }),
  },
  'negative memory': {
    field: /memory_limit_in_bytes: /,
    config: () => withResources({ memory_limit_in_bytes: -1 }),
  },
  'negative swap': {
    field: /memory_swap_limit_in_bytes: /,
    config: () => withResources({ memory_swap_limit_in_bytes: -2 }),
  },
  'a negative quota': { field: /cpu_quota: /, config: () => withResources({ cpu_quota: -2 }) },
  'an oom score of 2000': { field: /oom_score_adj: /, config: () => withResources({ oom_score_adj: 2000 }) },
  'NUL in a cpu set': { field: /cpuset_cpus: /, config: () => withResources({ cpuset_cpus: '0\0' }) },

  'a group without a user': {
    field: /run_as_group: /,
    config: () => withContext({ run_as_group: { value: 1 } }),
  },
  'NUL in the user': { field: /run_as_username: /, config: () => withContext({ run_as_username: 'a\0' }) },
  'an unknown seccomp type': {
    field: /seccomp\.profile_type: /,
    config: () => withContext({ seccomp: { profile_type: 9 as 0 } }),
  },
  'an unknown apparmor type': {
    field: /apparmor\.profile_type: /,
    config: () => withContext({ apparmor: { profile_type: 9 as 0 } }),
  },
  'an unknown apparmor name': {
    field: /apparmor_profile: /,
    config: () => withContext({ apparmor_profile: 'x' }),
  },
  'NUL in a capability': {
    field: /add_capabilities/,
    config: () => withContext({ capabilities: { add_capabilities: ['NET\0'] } }),
  },
  'an unknown capability': {
    field: /NO_SUCH/,
    config: () => withContext({ capabilities: { add_capabilities: ['NO_SUCH'] } }),
  },
  'ambient capabilities': {
    field: /add_ambient_capabilities: /,
    code: 'UNIMPLEMENTED',
    config: () => withContext({ capabilities: { add_ambient_capabilities: ['NET_RAW'] } }),
  },
  'privileged in a pod that is not': {
    field: /privileged: /,
    code: 'FAILED_PRECONDITION',
    config: () => withContext({ privileged: true }),
  },
  'pid TARGET without a target': {
    field: /target_id: /,
    config: () => withContext({ namespace_options: { pid: NamespaceMode.TARGET } }),
  },
  'pid TARGET with an unknown target': {
    field: /target_id: container "no-such"/,
    code: 'NOT_FOUND',
    config: () => withContext({ namespace_options: { pid: NamespaceMode.TARGET, target_id: 'no-such' } }),
  },
};

describe('CreateContainer with', () => {
  it.each(Object.entries(CONTAINERS))('%s', async (_what, { config, field, code = 'INVALID_ARGUMENT' }) => {
    const request = { pod_sandbox_id: busy.pod, config: config() ?? null };
    await expectFailure(busy.client.call('CreateContainer', request), code, field);
  });

  it('an unknown sandbox', async () => {
    const request = { pod_sandbox_id: 'no-such', config: containerConfig('c', FOREVER) };
    await expectFailure(busy.client.call('CreateContainer', request), 'NOT_FOUND', /no-such/);
  });

  it('huge pages of 0, as kubelet sends them', async () => {
    const config = withResources({ hugepage_limits: [{ page_size: '2MB', limit: 0 }] });
    const container_id = await createContainer(busy.test, busy.pod, config);
    await busy.client.call('RemoveContainer', { container_id });
  });

  it('a label __proto__, and the daemon’s objects are as they were', async () => {
    const labels = JSON.parse('{"__proto__": "polluted"}') as Record<string, string>;
    const call = busy.client.call('CreateContainer', {
      pod_sandbox_id: busy.pod,
      config: containerConfig('c', FOREVER, { labels }),
    });
    await expectFailure(call, 'INVALID_ARGUMENT', /^config\.labels: /);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
