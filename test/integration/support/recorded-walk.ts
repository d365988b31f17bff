import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Recording } from '../../../src/harness/record';
import { silentLogger } from '../../../src/lib/logger';
import type { cri } from '../../../src/proto';
import { ContainerEventType, ContainerState } from '../../../src/proto/enums';
import { CriClient } from '../../../src/server/client/cri-client';
import { startSourceWorker } from '../../unit/support/source-worker';
import { TEST_IMAGE } from './engine';
import { containerConfig, FOREVER } from './pods';

/**
 * Records the calls that `work` makes to a runtime.
 * @param work gets the endpoint of the recorder.
 * @returns the name of the tape, in `directory`.
 */
export async function recordedCalls(
  upstream: string,
  directory: string,
  work: (endpoint: string) => Promise<void>,
): Promise<string> {
  const output = join(directory, `${randomUUID()}.tape`);
  const listen = `unix://${join(directory, 'proxy.sock')}`;
  const recording = await Recording.start({
    ...{ listen, upstream, output, full: false },
    ...{ logger: silentLogger, startWorker: startSourceWorker, warn: () => undefined },
  });
  try {
    await work(listen);
  } finally {
    await recording.stop();
  }
  return output;
}

/**
 * Makes the calls of a kubelet for two pods, one of which has a container that ends by itself.
 * @param directory for logs and the sources of mounts.
 */
export async function walk(endpoint: string, directory: string): Promise<void> {
  await makePlaces(directory);
  const client = new CriClient(endpoint);
  const events = client.stream('GetContainerEvents', {});
  try {
    await events.connected;
    const config = pod('web', directory, { labels: { app: 'web' }, annotations: { note: 'text' } });
    const other = pod('other', directory);
    const watched = (async () => {
      let deleted = 0;
      for await (const { container_event_type } of events.messages)
        if (container_event_type === ContainerEventType.CONTAINER_DELETED_EVENT && ++deleted === 2) return;
    })();
    await client.call('Version', {});
    const { image } = await client.call('ImageStatus', { image: { image: TEST_IMAGE } });
    const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
    const { pod_sandbox_id: otherId } = await client.call('RunPodSandbox', { config: other });
    const create = async (name: string, script: string): Promise<string> => {
      const container = containerConfig(name, script, {
        image: { image: image?.id ?? '', user_specified_image: TEST_IMAGE },
        envs: [{ key: 'PASSWORD', value: Buffer.from('secret') }],
        labels: { tier: name },
        mounts: [
          { container_path: '/data', host_path: join(directory, 'kubelet/volumes/data') },
          { container_path: '/etc/hosts', host_path: join(directory, 'kubelet/etc-hosts') },
        ],
      });
      const request = { pod_sandbox_id, sandbox_config: config, config: container };
      const { container_id } = await client.call('CreateContainer', request);
      await client.call('StartContainer', { container_id });
      return container_id;
    };
    const main = await create('main', FOREVER);
    const job = await create('job', 'exit 3');
    for (;;) {
      const { status } = await client.call('ContainerStatus', { container_id: job });
      if (status?.state === ContainerState.CONTAINER_EXITED) break;
    }
    await client.call('ExecSync', {
      container_id: main,
      cmd: ['/bin/sh', '-c', 'echo out; echo err >&2; exit 4'],
      timeout: 20,
    });
    for (const verbose of [false, true])
      await client.call('ContainerStatus', { container_id: main, verbose });
    await client.call('ListContainers', {});
    await client.call('ListPodSandbox', {});
    await client.call('PodSandboxStatus', { pod_sandbox_id });
    await client.call('Exec', { container_id: main, cmd: ['sh'], stdout: true });
    await client.call('StopContainer', { container_id: main, timeout: 0 });
    await client.call('ContainerStatus', { container_id: main });
    for (const container_id of [main, job]) await client.call('RemoveContainer', { container_id });
    await watched;
    events.cancel();
    for (const id of [pod_sandbox_id, otherId]) {
      await client.call('StopPodSandbox', { pod_sandbox_id: id });
      await client.call('RemovePodSandbox', { pod_sandbox_id: id });
    }
    await client.call('ListPodSandbox', {});
  } finally {
    events.cancel();
    client.close();
  }
}

function pod(name: string, directory: string, more: cri.IPodSandboxConfig = {}): cri.IPodSandboxConfig {
  return {
    metadata: { name, uid: `uid-${name}`, namespace: 'walk', attempt: 0 },
    ...{ hostname: name, log_directory: join(directory, 'walk-logs', name), linux: {}, ...more },
  };
}

async function makePlaces(directory: string): Promise<void> {
  for (const place of ['kubelet/volumes/data', 'walk-logs/web', 'walk-logs/other'])
    await mkdir(join(directory, place), { recursive: true });
  await writeFile(join(directory, 'kubelet/etc-hosts'), '127.0.0.1 localhost\n');
}
