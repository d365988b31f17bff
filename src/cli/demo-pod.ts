import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ContainerState } from '../proto/enums';
import type { CriClient } from '../server/client/cri-client';

type Print = (line: string) => void;
type Client = Pick<CriClient, 'call'>;

export interface DemoPodOptions {
  readonly image: string;
  readonly logDirectory: string;
  readonly print: Print;
  /** Called with the step that failed, and with each step that fails in the removal after it. */
  readonly onFailure?: (step: string, error: unknown) => void;
}

const NAMES = { name: 'demo', namespace: 'default', uid: `demo-${process.pid}`, attempt: 0 };
const CONTAINERS = [
  {
    name: 'greeter',
    script: 'for n in 1 2 3; do echo "hello $n from pod $(uname -n)"; done; exec sleep 600',
  },
  { name: 'worker', script: 'echo "one job, done"; echo "and a word on stderr" >&2' },
];

/**
 * Runs one pod and prints what happens to it. Removes the pod even if an earlier step fails.
 * @returns the duration of each step in ms.
 */
export async function runDemoPod(
  client: Client,
  { image, logDirectory, print, onFailure }: DemoPodOptions,
): Promise<[step: string, ms: number][]> {
  const times: [step: string, ms: number][] = [];
  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    try {
      const result = await work();
      times.push([name, performance.now() - start]);
      return result;
    } catch (error) {
      onFailure?.(name, error);
      throw error;
    }
  };
  const config = { metadata: NAMES, hostname: 'demo', log_directory: logDirectory, linux: {} };

  const { runtime_name, runtime_version } = await step('Version', () => client.call('Version', {}));
  print(`Runtime   ${runtime_name} ${runtime_version}`);
  const imageId = await step('image', () => ensureImage(client, image, print));
  print(`Image     ${image} = ${imageId.slice(0, 19)}…`);
  const { pod_sandbox_id } = await step('RunPodSandbox', () => client.call('RunPodSandbox', { config }));
  try {
    const { status } = await client.call('PodSandboxStatus', { pod_sandbox_id });
    print(`Pod       ${pod_sandbox_id.slice(0, 12)}  ready, IP ${status?.network?.ip ?? ''}`);
    const ids: string[] = [];
    for (const { name, script } of CONTAINERS) {
      const request = {
        pod_sandbox_id,
        sandbox_config: config,
        config: {
          metadata: { name, attempt: 0 },
          image: { image: imageId, user_specified_image: image },
          command: ['/bin/sh', '-c', script],
          log_path: `${name}.log`,
          linux: {},
        },
      };
      const { container_id } = await step(`CreateContainer ${name}`, () =>
        client.call('CreateContainer', request),
      );
      await step(`StartContainer ${name}`, () => client.call('StartContainer', { container_id }));
      ids.push(container_id);
    }
    await untilExited(client, ids[1] ?? '');
    await showContainers(client, pod_sandbox_id, print);
    await showLogs(logDirectory, print);
    const cmd = ['/bin/sh', '-c', 'echo "exec in $(uname -n): $(uname -s), $(ls / | wc -l) entries in /"'];
    const exec = await step('ExecSync', () =>
      client.call('ExecSync', { container_id: ids[0] ?? '', cmd, timeout: 10 }),
    );
    print(`Exec      exit ${exec.exit_code}: ${exec.stdout.toString().trim()}`);
    await step('StopContainer greeter', () =>
      client.call('StopContainer', { container_id: ids[0] ?? '', timeout: 2 }),
    );
  } finally {
    await step('StopPodSandbox', () => client.call('StopPodSandbox', { pod_sandbox_id }));
    await step('RemovePodSandbox', () => client.call('RemovePodSandbox', { pod_sandbox_id }));
    print('Removed   the pod and its containers');
  }
  return times;
}

async function ensureImage(client: Client, image: string, print: Print): Promise<string> {
  const present = await client.call('ImageStatus', { image: { image } });
  if (present.image !== null) return present.image.id;
  print(`Pulling   ${image} …`);
  return (await client.call('PullImage', { image: { image } }, 600_000)).image_ref;
}

/**
 * Waits until a container has ended, for about 10 s at most. The worker container ends by itself within milliseconds, but a
 * machine may be very slow.
 */
async function untilExited(client: Client, container_id: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { status } = await client.call('ContainerStatus', { container_id });
    if (status?.state === ContainerState.CONTAINER_EXITED) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function showContainers(client: Client, pod_sandbox_id: string, print: Print): Promise<void> {
  const { containers } = await client.call('ListContainers', { filter: { pod_sandbox_id } });
  for (const { id } of containers) {
    const { status } = await client.call('ContainerStatus', { container_id: id });
    if (status === null) continue;
    const running = status.state === ContainerState.CONTAINER_RUNNING;
    const state = running ? 'running' : `exited ${status.exit_code} (${status.reason})`;
    print(`Container ${id.slice(0, 12)}  ${(status.metadata?.name ?? '').padEnd(8)} ${state}`);
  }
}

async function showLogs(directory: string, print: Print): Promise<void> {
  for (const { name } of CONTAINERS) {
    print(`Log       ${name}`);
    for (const line of (await readFile(join(directory, `${name}.log`), 'utf8')).trimEnd().split('\n'))
      print(`  ${line}`);
  }
}
