import { join } from 'node:path';
import { Recording } from '../../../../src/harness/record';
import { silentLogger } from '../../../../src/lib/logger';
import { Endpoint } from '../../../../src/harness/drive/endpoint';
import type { JsonObject } from '../../../../src/proto/fields';
import { startSourceWorker } from '../../support/source-worker';
import type { FakeCri } from './fake-cri';

export type Call = (method: string, request: JsonObject) => Promise<JsonObject>;

/** Records the calls of `work` to the runtime. @returns the tape's name. */
export async function recorded(
  fake: FakeCri,
  work: (call: Call, endpoint: Endpoint) => Promise<void>,
  full = false,
): Promise<string> {
  const output = join(fake.directory, `${fake.calls.length}.tape`);
  const listen = `unix://${join(fake.directory, 'proxy.sock')}`;
  const recording = await Recording.start({
    ...{ listen, upstream: fake.endpoint, output, full, logger: silentLogger },
    ...{ warn: () => undefined, startWorker: startSourceWorker },
  });
  const endpoint = new Endpoint(listen);
  try {
    await work(async (method, request) => (await endpoint.call(method, request)).response ?? {}, endpoint);
  } finally {
    endpoint.close();
    await recording.stop();
  }
  return output;
}

export const podOf = (name: string, more: JsonObject = {}): JsonObject => ({
  metadata: { name, namespace: 'test', uid: `uid-${name}` },
  log_directory: `/var/log/pods/test_${name}`,
  linux: { cgroup_parent: '/kubepods/no-such-group' },
  ...more,
});

export const containerOf = (name: string, more: JsonObject = {}): JsonObject => ({
  metadata: { name },
  image: { image: `sha256:${'b'.repeat(64)}`, user_specified_image: 'busybox:1' },
  command: ['sleep', '1000'],
  log_path: `${name}/0.log`,
  labels: { app: name },
  envs: [{ key: 'PASSWORD', value: Buffer.from('secret').toString('base64') }],
  mounts: [
    { container_path: '/etc/hosts', host_path: '/var/lib/kubelet/pods/u/etc-hosts' },
    { container_path: '/data', host_path: '/var/lib/kubelet/pods/u/volumes/data' },
    { container_path: '/sys', host_path: '/sys', readonly: true },
  ],
  ...more,
});

/** Makes the calls that a kubelet makes for a pod of one container, and watches the events. */
export async function watchedWalk(
  call: Call,
  endpoint: Endpoint,
  name: string,
  more: JsonObject = {},
): Promise<void> {
  const stop = new AbortController();
  let opened!: () => void;
  const open = new Promise<void>((resolve) => (opened = resolve));
  const events = endpoint.call('GetContainerEvents', {}, { signal: stop.signal, onOpen: opened });
  await open;
  await walk(call, name, more);
  stop.abort();
  await events;
}

/** Makes the calls that a kubelet makes for a pod of one container. */
export async function walk(call: Call, name: string, more: JsonObject = {}): Promise<void> {
  const config = podOf(name);
  await call('ImageStatus', { image: { image: 'busybox:1' } });
  const { pod_sandbox_id = '' } = await call('RunPodSandbox', { config });
  await call('PodSandboxStatus', { pod_sandbox_id });
  const { container_id = '' } = await call('CreateContainer', {
    ...{ pod_sandbox_id, sandbox_config: config, config: containerOf('main', more) },
  });
  await call('StartContainer', { container_id });
  for (let again = 0; again < 3; again++) await call('ContainerStatus', { container_id });
  await call('ExecSync', { container_id, cmd: ['echo', name] });
  await call('ListContainers', {});
  await call('StopContainer', { container_id, timeout: '2' });
  await call('ContainerStatus', { container_id });
  await call('RemoveContainer', { container_id });
  await call('ContainerStatus', { container_id });
  await call('StopPodSandbox', { pod_sandbox_id });
  await call('RemovePodSandbox', { pod_sandbox_id });
  await call('ListPodSandbox', {});
}
