import { once } from 'node:events';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import type { cri } from '../../src/proto';
import { NamespaceMode, SecurityProfileType } from '../../src/proto/enums';
import { IMAGE_SERVICE, RUNTIME_SERVICE } from '../../src/proto/service';
import { RawHttp2Client } from '../fakes/raw-http2-client';
import { TestDaemon } from './support/daemon';
import { engineLeftovers, sharedDockerHost, TEST_IMAGE } from './support/engine';
import { expectFailure, failureOf } from './support/grpc';
import {
  containerConfig,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
  startedContainer,
} from './support/pods';

let test: TestDaemon;
let raw: Client;
let pod: string;
let container: string;
let engineBefore: string[];

beforeAll(async () => {
  test = await TestDaemon.start();
  raw = new Client(test.endpoint.replace('unix://', 'unix:'), credentials.createInsecure(), {
    'grpc.max_send_message_length': 64 * 1024 * 1024,
  });
  pod = await runPod(test);
  container = await startedContainer(test, pod, containerConfig('main', FOREVER));
  engineBefore = await engineLeftovers(sharedDockerHost());
});

afterAll(async () => {
  raw.close();
  await test.stop();
});

/** Whatever was asked: the daemon serves, and nothing was made in the Engine. */
afterEach(async () => {
  // What was made by mistake must not be in the way of the next test.
  const made = (await test.client.call('ListContainers', {}, 2_000)).containers.filter(
    ({ id }) => id !== container,
  );
  for (const { id } of made) await test.client.call('RemoveContainer', { container_id: id });
  expect(made).toEqual([]);
  const { items } = await test.client.call('ListPodSandbox', {}, 2_000);
  expect(items.map(({ id }) => id)).toEqual([pod]);
  const { containers } = await test.client.call('ListContainers', {}, 2_000);
  expect(containers.map(({ id }) => id)).toEqual([container]);
  expect(await engineLeftovers(sharedDockerHost())).toEqual(engineBefore);
});

/** Bytes to a method, bytes back. */
async function send(path: string, bytes: Buffer): Promise<Buffer> {
  const same = (message: Buffer): Buffer => message;
  return new Promise((resolve, reject) => {
    raw.makeUnaryRequest(
      path,
      same,
      same,
      bytes,
      new Metadata(),
      { deadline: Date.now() + 10_000 },
      (error, reply) => {
        if (error) reject(error);
        else resolve(reply ?? Buffer.alloc(0));
      },
    );
  });
}

/** The messages of a stream, all of them or, of an endless one, those before its handler has answered. */
async function receive(path: string, bytes: Buffer, endless: boolean): Promise<Buffer[]> {
  const same = (message: Buffer): Buffer => message;
  const call = raw.makeServerStreamRequest(path, same, same, bytes, new Metadata(), {
    deadline: Date.now() + 10_000,
  });
  const messages: Buffer[] = [];
  call.on('data', (message: Buffer) => messages.push(message));
  // A cancel ends it with an error, too.
  const ended = once(call, 'end');
  if (!endless) await ended;
  else {
    await once(call, 'metadata');
    ended.catch(() => undefined);
    call.cancel();
  }
  return messages;
}

const METHODS = [...Object.entries(RUNTIME_SERVICE), ...Object.entries(IMAGE_SERVICE)].map(
  ([name, method]) => ({
    name,
    path: method.path,
    streams: method.responseStream,
  }),
);
const UNARY = METHODS.filter(({ streams }) => !streams);

/** What an empty request means; a pattern: INVALID_ARGUMENT naming the field. */
const EMPTY: Record<string, 'OK' | 'endless' | 'UNIMPLEMENTED' | RegExp> = {
  Version: 'OK',
  Status: 'OK',
  RuntimeConfig: 'OK',
  UpdateRuntimeConfig: 'OK',
  ListPodSandbox: 'OK',
  ListContainers: 'OK',
  ListImages: 'OK',
  ImageFsInfo: 'OK',
  RunPodSandbox: /^config: /,
  StopPodSandbox: /^pod_sandbox_id: /,
  RemovePodSandbox: /^pod_sandbox_id: /,
  PodSandboxStatus: /^pod_sandbox_id: /,
  CreateContainer: /^pod_sandbox_id: /,
  StartContainer: /^container_id: /,
  StopContainer: /^container_id: /,
  RemoveContainer: /^container_id: /,
  ContainerStatus: /^container_id: /,
  ExecSync: /^(container_id|cmd): /,
  ImageStatus: /^image: /,
  PullImage: /^image: /,
  RemoveImage: /^image: /,
  ReopenContainerLog: /^container_id: /,
  UpdateContainerResources: /^container_id: /,
  UpdatePodSandboxResources: /^pod_sandbox_id: /,
  Exec: /^(container_id|cmd): /,
  // At least one of the streams is wanted.
  Attach: /^(container_id|stdin)\b/,
  PortForward: /^pod_sandbox_id: /,
  ContainerStats: /^container_id: /,
  PodSandboxStats: /^pod_sandbox_id: /,
  CheckpointContainer: /^(container_id|location): /,
  CheckpointPod: 'UNIMPLEMENTED',
  RestorePod: 'UNIMPLEMENTED',
  ListContainerStats: 'OK',
  ListPodSandboxStats: 'OK',
  ListMetricDescriptors: 'OK',
  ListPodSandboxMetrics: 'OK',
  StreamPodSandboxes: 'OK',
  StreamContainers: 'OK',
  StreamContainerStats: 'OK',
  StreamPodSandboxStats: 'OK',
  StreamPodSandboxMetrics: 'OK',
  StreamImages: 'OK',
  GetContainerEvents: 'endless',
};

describe('an empty request', () => {
  it.each(METHODS)('of $name', async ({ name, path, streams }) => {
    const wanted = EMPTY[name];
    const answer = (): Promise<unknown> =>
      streams ? receive(path, Buffer.alloc(0), wanted === 'endless') : send(path, Buffer.alloc(0));
    if (wanted instanceof RegExp) await expectFailure(answer(), 'INVALID_ARGUMENT', wanted);
    else if (wanted === 'UNIMPLEMENTED') await expectFailure(answer(), 'UNIMPLEMENTED', /Docker/);
    else await expect(answer()).resolves.toBeDefined();
  });

  it('is known of every method', () => {
    expect(Object.keys(EMPTY).sort()).toEqual(METHODS.map(({ name }) => name).sort());
  });
});

describe('bytes that are no message', () => {
  const GARBAGE: [string, Buffer][] = [
    ['a field cut off', Buffer.from([0x0a, 0x7f, 0x01])],
    ['an endless varint', Buffer.alloc(100, 0xff)],
    ['a group without end', Buffer.from([0x0b])],
    ['field number 0', Buffer.from([0x00, 0x00])],
    ['a length beyond 2^32', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ];

  it.each(UNARY)('to $name', async ({ path }) => {
    for (const [what, bytes] of GARBAGE) {
      const error = await failureOf(send(path, bytes));
      expect({ what, code: status[error.code], details: error.details }).toMatchObject({
        what,
        // Methods that are not built say so whatever they are sent.
        code: expect.stringMatching(/^(INVALID_ARGUMENT|UNIMPLEMENTED)$/) as string,
      });
    }
  });

  it('are named as such', async () => {
    await expectFailure(
      send(RUNTIME_SERVICE.RunPodSandbox.path, Buffer.from([0x0a, 0x7f])),
      'INVALID_ARGUMENT',
      /^request: /,
    );
  });

  it('of a nested depth that would overflow a stack are refused or ignored', async () => {
    let bytes: Buffer = Buffer.alloc(0);
    // Groups, one in another: what unknown fields may be made of.
    bytes = Buffer.concat([Buffer.alloc(200_000, 0xfb), bytes]);
    await failureOf(send(RUNTIME_SERVICE.RunPodSandbox.path, bytes));
    await failureOf(send(RUNTIME_SERVICE.RunPodSandbox.path, Buffer.alloc(1_000_000, 0x0b)));
  });

  it('random ones never end the daemon', async () => {
    // A generator of our own: a failure can be repeated.
    let seed = 42;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return seed % below;
    };
    const harmless = UNARY.filter(({ name }) => !/^(Run|Create|Pull)/.test(name));
    for (let round = 0; round < 20; round++) {
      const calls = harmless.map(({ path }) =>
        send(path, Buffer.from(Array.from({ length: random(64) }, () => random(256)))).then(
          () => 'OK',
          (error: unknown) => status[(error as ServiceError).code],
        ),
      );
      for (const code of await Promise.all(calls))
        expect(code).not.toMatch(/INTERNAL|UNKNOWN|DEADLINE|UNAVAILABLE/);
    }
  });

  it('more than 16 MiB are RESOURCE_EXHAUSTED', async () => {
    const bytes = RUNTIME_SERVICE.RunPodSandbox.requestSerialize({
      config: { hostname: 'x'.repeat(17 * 1024 * 1024) },
    });
    await expectFailure(send(RUNTIME_SERVICE.RunPodSandbox.path, bytes), 'RESOURCE_EXHAUSTED');
  });

  it('that are no HTTP/2 at all end the connection only', async () => {
    for (const bytes of [
      'GET / HTTP/1.1\r\n\r\n',
      '\0'.repeat(100),
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\0\0\0\0\0\0',
    ]) {
      const peer = new RawHttp2Client(test.endpoint.slice('unix://'.length));
      peer.send(Buffer.from(bytes, 'latin1'));
      peer.socket.end();
      await peer.closed;
    }
  });
});

interface Case {
  readonly field: RegExp;
  readonly code?: 'INVALID_ARGUMENT' | 'UNIMPLEMENTED' | 'FAILED_PRECONDITION' | 'NOT_FOUND';
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
    await expectFailure(test.client.call('RunPodSandbox', { config: config() }), code, field);
  });

  it('an unknown runtime handler', async () => {
    const call = test.client.call('RunPodSandbox', { config: podConfig(test), runtime_handler: 'kata' });
    await expectFailure(call, 'INVALID_ARGUMENT', /^runtime_handler: "kata".*runc/);
  });

  it('a NUL in the runtime handler', async () => {
    const call = test.client.call('RunPodSandbox', { config: podConfig(test), runtime_handler: 'a\0' });
    await expectFailure(call, 'INVALID_ARGUMENT', /^runtime_handler: /);
  });

  it('an attempt of 2^32-1, which is a valid one', async () => {
    const config = podConfig(test);
    config.metadata!.attempt = 2 ** 32 - 1;
    const id = await runPod(test, config);
    const { status: pod_status } = await test.client.call('PodSandboxStatus', { pod_sandbox_id: id });
    expect(pod_status?.metadata?.attempt).toBe(2 ** 32 - 1);
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: id });
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
  'NUL in a mount': {
    field: /^config\.mounts\[0\]\.container_path: .*NUL/,
    config: () => withMount({ container_path: '/a\0' }),
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
    field: /no-such/,
    code: 'NOT_FOUND',
    config: () => withContext({ namespace_options: { pid: NamespaceMode.TARGET, target_id: 'no-such' } }),
  },
};

describe('CreateContainer with', () => {
  it.each(Object.entries(CONTAINERS))('%s', async (_what, { config, field, code = 'INVALID_ARGUMENT' }) => {
    const request = { pod_sandbox_id: pod, config: config() ?? null };
    await expectFailure(test.client.call('CreateContainer', request), code, field);
  });

  it('an unknown sandbox', async () => {
    const request = { pod_sandbox_id: 'no-such', config: containerConfig('c', FOREVER) };
    await expectFailure(test.client.call('CreateContainer', request), 'NOT_FOUND', /no-such/);
  });

  it('huge pages of 0, as kubelet sends them', async () => {
    const config = withResources({ hugepage_limits: [{ page_size: '2MB', limit: 0 }] });
    const container_id = await createContainer(test, pod, config);
    await test.client.call('RemoveContainer', { container_id });
  });

  it('a label __proto__, and the daemon’s objects are as they were', async () => {
    const labels = JSON.parse('{"__proto__": "polluted"}') as Record<string, string>;
    const call = test.client.call('CreateContainer', {
      pod_sandbox_id: pod,
      config: containerConfig('c', FOREVER, { labels }),
    });
    await expectFailure(call, 'INVALID_ARGUMENT', /^config\.labels: /);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('other requests', () => {
  it.each([-1, '-9223372036854775808', '9223372036854775807'])(
    'StopContainer with a timeout of %s',
    async (timeout) => {
      const request = { container_id: container, timeout } as cri.IStopContainerRequest;
      await expectFailure(test.client.call('StopContainer', request), 'INVALID_ARGUMENT', /^timeout: /);
    },
  );

  it.each([-1, '-9223372036854775808', '9223372036854775807'])(
    'ExecSync with a timeout of %s',
    async (timeout) => {
      const request = { container_id: container, cmd: ['true'], timeout } as cri.IExecSyncRequest;
      await expectFailure(test.client.call('ExecSync', request), 'INVALID_ARGUMENT', /^timeout: /);
    },
  );

  it('ExecSync without a command, with an empty one, and with a NUL', async () => {
    const exec = (cmd: string[]): Promise<unknown> =>
      test.client.call('ExecSync', { container_id: container, cmd });
    await expectFailure(exec([]), 'INVALID_ARGUMENT', /^cmd: /);
    await expectFailure(exec(['']), 'INVALID_ARGUMENT', /^cmd\[0\]: /);
    await expectFailure(exec(['sh', 'a\0']), 'INVALID_ARGUMENT', /^cmd\[1\]: /);
  });

  it.each(['UPPER', 'a b', 'x:', '@', 'a\0b', '../../etc', 'http://x/y', 'a@sha256:12', '😀', LARGE])(
    'an image named %#',
    async (image) => {
      for (const method of ['ImageStatus', 'PullImage', 'RemoveImage'] as const) {
        await expectFailure(
          test.client.call(method, { image: { image } }),
          'INVALID_ARGUMENT',
          /^image\.image: /,
        );
      }
      const filter = { image: { image } };
      await expectFailure(
        test.client.call('ListImages', { filter }),
        'INVALID_ARGUMENT',
        /^filter\.image\.image: /,
      );
    },
  );

  it('PullImage with credentials that are none does not repeat them', async () => {
    const call = test.client.call('PullImage', { image: { image: 'a' }, auth: { auth: 'c2VjcmV0' } });
    const error = await failureOf(call);
    expect(status[error.code]).toBe('INVALID_ARGUMENT');
    expect(error.details).toMatch(/^auth\.auth: /);
    expect(error.details).not.toMatch(/c2VjcmV0|secret/);
  });

  it.each([
    ['ListContainers', { filter: { state: { state: 9 as 0 } } }],
    ['ListPodSandbox', { filter: { state: { state: 9 as 0 } } }],
  ] as const)('%s with an unknown state', async (method, request) => {
    await expectFailure(test.client.call(method, request), 'INVALID_ARGUMENT', /^filter\.state\.state: .*9/);
  });

  it.each(['no-such', '../x', '\0', 'x'.repeat(1024 * 1024), '%2e%2e'])('ids such as %#', async (id) => {
    // What is no id is unknown; only a NUL cannot be one.
    const code = id === '\0' ? 'INVALID_ARGUMENT' : 'NOT_FOUND';
    await expectFailure(test.client.call('ContainerStatus', { container_id: id }), code);
    await expectFailure(test.client.call('PodSandboxStatus', { pod_sandbox_id: id }), code);
    await expectFailure(test.client.call('StartContainer', { container_id: id }), code);
    await expectFailure(test.client.call('ExecSync', { container_id: id, cmd: ['true'] }), code);
  });

  it('UpdateRuntimeConfig with what is no CIDR', async () => {
    for (const pod_cidr of ['x', '10.0.0.0', '10.0.0.0/33', '10.0.0.0/8,', '::/129', '10.0.0.0/8/8']) {
      const request = { runtime_config: { network_config: { pod_cidr } } };
      await expectFailure(test.client.call('UpdateRuntimeConfig', request), 'INVALID_ARGUMENT', /pod_cidr: /);
    }
  });

  it('a hundred clients that go away in the middle of a request', async () => {
    const path = test.endpoint.slice('unix://'.length);
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const peer = new RawHttp2Client(path);
        await once(peer.socket, 'connect');
        peer.greet();
        await peer.settings;
        peer.open(RUNTIME_SERVICE.RunPodSandbox.path, { authority: 'localhost' });
        peer.socket.destroy();
        await peer.closed;
      }),
    );
  });
});
