import { once } from 'node:events';
import { readFileSync, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { cri, Decoded } from '../../../src/proto';
import type { ContainerState } from '../../../src/proto/enums';
import { TestDaemon, type TestDaemonOptions } from './daemon';
import { TEST_IMAGE } from './engine';

/** Far more than a busy machine needs. */
const LIMIT_MS = 60_000;

let counter = 0;

/** Returns a pod configuration with a new name. Logs go below the daemon's directory. */
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

/** Starts a daemon and a pod, for suites whose tests share them. */
export async function startPodTest(options?: TestDaemonOptions): Promise<{ test: TestDaemon; pod: string }> {
  const test = await TestDaemon.start(options);
  try {
    return { test, pod: await runPod(test) };
  } catch (error) {
    await test.stop();
    throw error;
  }
}

/**
 * Returns the configuration of a container of the test image that runs `script` in a shell. Scripts without a
 * trap end at once on SIGTERM.
 */
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

/** Returns such a configuration with a unique name, for tests that do not need a particular one. */
export function freshConfig(script: string, more: cri.IContainerConfig = {}): cri.IContainerConfig {
  return containerConfig(`c${++counter}`, script, more);
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

/** Resolves once the store says exited, without polling. Rejects after 60 s. */
export async function untilExited(test: TestDaemon, id: string): Promise<void> {
  await test.daemon.store.containers.waitFor(
    id,
    ({ state }) => state === 'exited' || state === 'dead',
    AbortSignal.timeout(LIMIT_MS),
  );
}

export async function stateOf(test: TestDaemon, container_id: string): Promise<ContainerState | undefined> {
  return (await test.client.call('ContainerStatus', { container_id })).status?.state;
}

export async function containerStatus(
  test: TestDaemon,
  container_id: string,
): Promise<Decoded<cri.IContainerStatus>> {
  const { status } = await test.client.call('ContainerStatus', { container_id });
  if (status === null) throw new Error(`ContainerStatus of ${container_id} without a status`);
  return status;
}

export async function sandboxStatus(
  test: TestDaemon,
  pod_sandbox_id: string,
): Promise<Decoded<cri.IPodSandboxStatus>> {
  const { status } = await test.client.call('PodSandboxStatus', { pod_sandbox_id });
  if (status === null) throw new Error(`PodSandboxStatus of ${pod_sandbox_id} without a status`);
  return status;
}

/**
 * Resolves once `condition` holds for the store. Checks after each change, without polling. Rejects after
 * 60 s.
 */
export async function untilStore(test: TestDaemon, condition: () => boolean): Promise<void> {
  const { sandboxes, containers, foreign } = test.daemon.store;
  await new Promise<void>((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      for (const unsubscribe of unsubscribes) unsubscribe();
      settle();
    };
    const check = (): void => {
      if (condition()) end(resolve);
    };
    const timer = setTimeout(
      () => end(() => reject(new Error(`the store did not reach the expected state within ${LIMIT_MS} ms`))),
      LIMIT_MS,
    );
    const unsubscribes = [sandboxes, containers, foreign].map((table) => table.subscribe(check));
    check();
  });
}

export interface Executed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `script` in the container's shell. */
export async function exec(
  test: TestDaemon,
  container_id: string,
  script: string,
  timeoutSeconds = 20,
): Promise<Executed> {
  const { stdout, stderr, exit_code } = await test.client.call('ExecSync', {
    container_id,
    cmd: ['/bin/sh', '-c', script],
    timeout: timeoutSeconds,
  });
  return { code: exit_code, stdout: text(stdout), stderr: text(stderr) };
}

/** Returns the standard output of a script that must succeed, without the last line end. */
export async function output(test: TestDaemon, container_id: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await exec(test, container_id, script);
  if (code !== 0) throw new Error(`"${script}" exits ${code}: ${stderr}`);
  return stdout.trimEnd();
}

/** A script that runs until it is stopped, and writes nothing. */
export const FOREVER = 'exec sleep 1000';

/** Runs a container to its end, and returns stdout and stderr from the CRI log, decoded. */
export async function logOf(
  test: TestDaemon,
  pod: string,
  config: cri.IContainerConfig,
): Promise<{ id: string; text: string }> {
  const id = await startedContainer(test, pod, config);
  await untilExited(test, id);
  const { log_path } = await containerStatus(test, id);
  return { id, text: await readLogText(log_path) };
}

/** Resolves when the existing log contains `word`. inotify triggers the check. */
export async function untilLogged(path: string, word: string): Promise<void> {
  const changes = watch(path);
  try {
    // The file is read at once, so that nothing is written between the check and the wait.
    while (!readFileSync(path, 'utf8').includes(word)) await once(changes, 'change');
  } finally {
    changes.close();
  }
}

/** Returns the text of a CRI log without stream and time, with P and F lines joined. */
export async function readLogText(path: string): Promise<string> {
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
  return lines
    .map((line) => {
      const [, , tag] = line.split(' ', 3);
      return line.split(' ').slice(3).join(' ') + (tag === 'F' ? '\n' : '');
    })
    .join('');
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
