import type { cri } from '../../src/proto';
import { NamespaceMode } from '../../src/proto/enums';
import { BusyDaemon } from './support/busy-daemon';
import { TEST_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import { containerConfig, createContainer, FOREVER } from './support/pods';
import { LARGE, type Refusals } from './support/refusals';

const busy = new BusyDaemon();
beforeAll(() => busy.start());
afterAll(() => busy.stop());
afterEach(() => busy.expectUntouched());

function withContext(context: cri.ILinuxContainerSecurityContext): cri.IContainerConfig {
  return containerConfig('c', FOREVER, { linux: { security_context: context } });
}
function withMount(mount: cri.IMount): cri.IContainerConfig {
  return containerConfig('c', FOREVER, { mounts: [{ container_path: '/a', host_path: '/tmp', ...mount }] });
}
function withResources(resources: cri.ILinuxContainerResources): cri.IContainerConfig {
  return containerConfig('c', FOREVER, { linux: { resources } });
}

const CONTAINERS: Refusals<cri.IContainerConfig | undefined> = {
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
  'a log path that is the log directory itself': {
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
  'a device with an invalid permission': {
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
  'two devices in one place': {
    field: /^config\.devices\[1\]\.container_path: "\/dev\/x\/" is already used by config\.devices\[0\]/,
    config: () =>
      containerConfig('c', FOREVER, {
        devices: [
          { host_path: '/dev/null', container_path: '/dev/x', permissions: 'r' },
          { host_path: '/dev/zero', container_path: '/dev/x/', permissions: 'r' },
        ],
      }),
  },
  'a device in place of the root directory': {
    field: /^config\.devices\[0\]\.container_path: "\/" is the root of the container/,
    config: () =>
      containerConfig('c', FOREVER, {
        devices: [{ host_path: '/dev/null', container_path: '/', permissions: 'r' }],
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
    field: /^config\.mounts\[1\]\.container_path: "\/data\/" is already the target of config\.mounts\[0\]/,
    config: () =>
      containerConfig('c', FOREVER, {
        mounts: ['/data', '/data/'].map((container_path) => ({ container_path, host_path: '/tmp' })),
      }),
  },
  'a mount whose source is below a file': {
    field: /^config\.mounts\[0\]\.host_path: "\/etc\/passwd\/x" .*\/etc\/passwd is not a directory/,
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
  'CPUs that this machine does not have': {
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
  'memory nodes that this machine does not have': {
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

  'huge pages of an invalid size': {
    field: /^config\.linux\.resources\.hugepage_limits\[1\]\.page_size: /,
    config: () =>
      withResources({
        hugepage_limits: [
          { page_size: '2MB', limit: 0 },
          { page_size: '../1GB', limit: 1 },
        ],
      }),
  },
  'a unified value that is no limit': {
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
  'privileged in a pod that is not privileged': {
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

describe('CreateContainer', () => {
  it.each(Object.entries(CONTAINERS))(
    'refuses a request with %s',
    async (_what, { config, field, code = 'INVALID_ARGUMENT' }) => {
      const request = { pod_sandbox_id: busy.pod, config: config() ?? null };
      await expectFailure(busy.client.call('CreateContainer', request), code, field);
    },
  );

  it('refuses an unknown sandbox', async () => {
    const request = { pod_sandbox_id: 'no-such', config: containerConfig('c', FOREVER) };
    await expectFailure(busy.client.call('CreateContainer', request), 'NOT_FOUND', /no-such/);
  });

  it('accepts huge pages of 0, as kubelet sends them', async () => {
    const config = withResources({ hugepage_limits: [{ page_size: '2MB', limit: 0 }] });
    const container_id = await createContainer(busy.test, busy.pod, config);
    await busy.client.call('RemoveContainer', { container_id });
  });

  it('refuses a label __proto__, which leaves the daemon’s objects unchanged', async () => {
    const labels = JSON.parse('{"__proto__": "polluted"}') as Record<string, string>;
    const call = busy.client.call('CreateContainer', {
      pod_sandbox_id: busy.pod,
      config: containerConfig('c', FOREVER, { labels }),
    });
    await expectFailure(call, 'INVALID_ARGUMENT', /^config\.labels: /);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
