import type { cri } from '../../../src/proto';
import type { ContainerState } from '../../../src/proto/enums';
import type { TestDaemon } from './daemon';
import { TEST_IMAGE } from './engine';

let counter = 0;

/** A pod configuration with a fresh name; logs go below the daemon's directory. */
export function podConfig(test: TestDaemon, more: cri.IPodSandboxConfig = {}): cri.IPodSandboxConfig {
  const name = `pod-${process.pid}-${++counter}`;
  return {
    metadata: { name, uid: `uid-${name}`, namespace: 'test', attempt: 0 },
    hostname: name,
    log_directory: `${test.logDirectory}/${name}`,
    linux: {},
    ...more,
  };
}

export async function runPod(test: TestDaemon, config = podConfig(test)): Promise<string> {
  return (await test.client.call('RunPodSandbox', { config })).pod_sandbox_id;
}

/** A container of the test image that runs `script` in a shell; trap-free scripts end at once on SIGTERM. */
export function containerConfig(
  name: string,
  script: string,
  more: cri.IContainerConfig = {},
): cri.IContainerConfig {
  return {
    metadata: { name, attempt: 0 },
    image: { image: TEST_IMAGE },
    command: ['/bin/sh', '-c', script],
    log_path: `${name}.log`,
    linux: {},
    ...more,
  };
}

export async function createContainer(
  test: TestDaemon,
  pod_sandbox_id: string,
  config: cri.IContainerConfig,
): Promise<string> {
  return (await test.client.call('CreateContainer', { pod_sandbox_id, config })).container_id;
}

export async function startedContainer(
  test: TestDaemon,
  pod_sandbox_id: string,
  config: cri.IContainerConfig,
): Promise<string> {
  const container_id = await createContainer(test, pod_sandbox_id, config);
  await test.client.call('StartContainer', { container_id });
  return container_id;
}

/** Resolves once the store says exited (no polling); rejects after 20 s. */
export async function untilExited(test: TestDaemon, id: string): Promise<void> {
  await test.daemon.store.containers.waitFor(
    id,
    ({ state }) => state === 'exited' || state === 'dead',
    AbortSignal.timeout(20_000),
  );
}

export async function stateOf(test: TestDaemon, container_id: string): Promise<ContainerState | undefined> {
  return (await test.client.call('ContainerStatus', { container_id })).status?.state;
}
