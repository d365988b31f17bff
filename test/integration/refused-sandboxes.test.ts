import type { cri } from '../../src/proto';
import { NamespaceMode, SecurityProfileType } from '../../src/proto/enums';
import { BusyDaemon } from './support/busy-daemon';
import { expectFailure } from './support/grpc';
import { podConfig, runPod } from './support/pods';
import { LARGE, type Refusals } from './support/refusals';

const busy = new BusyDaemon();
beforeAll(() => busy.start());
afterAll(() => busy.stop());
afterEach(() => busy.expectUntouched());

const METADATA = { name: 'p', namespace: 'n', uid: 'u', attempt: 0 };

function sandboxContext(context: cri.ILinuxSandboxSecurityContext): cri.IPodSandboxConfig {
  return { metadata: METADATA, hostname: 'h', linux: { security_context: context } };
}

const SANDBOXES: Refusals<cri.IPodSandboxConfig> = {
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
    field: /^config\.hostname: "a b" is not a host name/,
    config: () => ({ metadata: METADATA, hostname: 'a b' }),
  },
  'a host name of two lines': {
    field: /^config\.hostname: "a\\nb" is not a host name/,
    config: () => ({ metadata: METADATA, hostname: 'a\nb' }),
  },
  'a DNS server that is no address': {
    field: /^config\.dns_config\.servers\[1\]: "nope" is not an IP address/,
    config: () => ({ metadata: METADATA, dns_config: { servers: ['10.0.0.10', 'nope'] } }),
  },
  'a DNS server that adds a line': {
    field: /^config\.dns_config\.servers\[1\]: ".*" is not an IP address/,
    config: () => ({
      metadata: METADATA,
      dns_config: { servers: ['10.0.0.10', '10.0.0.11\noptions rotate'] },
    }),
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
  'a cgroup parent that leads upwards': {
    field: /^config\.linux\.cgroup_parent: .* leads upwards/,
    config: () => ({ metadata: METADATA, linux: { cgroup_parent: '/kubepods/../../a' } }),
  },
  'a cgroup parent of 10 MiB': {
    field: /^config\.linux\.cgroup_parent: /,
    config: () => ({ metadata: METADATA, linux: { cgroup_parent: `/${LARGE}` } }),
  },
  'a host address that is no IP address': {
    field: /^config\.port_mappings\[0\]\.host_ip: "nope" is not an IP address/,
    config: () => ({
      metadata: METADATA,
      port_mappings: [{ container_port: 80, host_port: 8099, host_ip: 'nope' }],
    }),
  },
  'one host port twice': {
    field: /^config\.port_mappings\[1\]\.host_port: 8099 is already published by config\.port_mappings\[0\]/,
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
  'a network for each container': {
    field: /namespace_options\.network: /,
    config: () => sandboxContext({ namespace_options: { network: NamespaceMode.CONTAINER } }),
  },
  'a target container for its PID namespace': {
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

describe('RunPodSandbox', () => {
  it.each(Object.entries(SANDBOXES))(
    'refuses a request with %s',
    async (_what, { config, field, code = 'INVALID_ARGUMENT' }) => {
      await expectFailure(busy.client.call('RunPodSandbox', { config: config() }), code, field);
    },
  );

  it('refuses an unknown runtime handler', async () => {
    const call = busy.client.call('RunPodSandbox', { config: podConfig(busy.test), runtime_handler: 'kata' });
    await expectFailure(call, 'INVALID_ARGUMENT', /^runtime_handler: "kata".*runc/);
  });

  it('refuses a NUL in the runtime handler', async () => {
    const call = busy.client.call('RunPodSandbox', { config: podConfig(busy.test), runtime_handler: 'a\0' });
    await expectFailure(call, 'INVALID_ARGUMENT', /^runtime_handler: /);
  });

  it('accepts an attempt of 2^32-1', async () => {
    const config = podConfig(busy.test);
    config.metadata!.attempt = 2 ** 32 - 1;
    const id = await runPod(busy.test, config);
    const { status: pod_status } = await busy.client.call('PodSandboxStatus', { pod_sandbox_id: id });
    expect(pod_status?.metadata?.attempt).toBe(2 ** 32 - 1);
    await busy.client.call('RemovePodSandbox', { pod_sandbox_id: id });
  });
});
