import { join } from 'node:path';
import { compare } from '../../src/harness/compare/compare';
import type { Comparison } from '../../src/harness/compare/comparison';
import { observationOf } from '../../src/harness/compare/observe';
import { rulesFor } from '../../src/harness/compare/rules';
import type { Observation } from '../../src/harness/observation';
import { Recording } from '../../src/harness/record';
import { renderJunit } from '../../src/harness/report/junit';
import { renderText } from '../../src/harness/report/text';
import { silentLogger } from '../../src/lib/logger';
import type { cri } from '../../src/proto';
import { ContainerEventType, ContainerState } from '../../src/proto/enums';
import { CriClient } from '../../src/server/client/cri-client';
import { startSourceWorker } from '../unit/support/source-worker';
import { TestDaemon } from './support/daemon';
import { TEST_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import { containerConfig, podConfig } from './support/pods';

let test: TestDaemon;
beforeAll(async () => (test = await TestDaemon.start()));
afterAll(() => test.stop());

/** Runs a pod with two containers, from its start to its removal, through a proxy that writes a tape. */
async function recorded(name: string, pod: cri.IPodSandboxConfig, exitCode: number): Promise<Observation> {
  const place = join(test.directory, name);
  const recording = await Recording.start({
    ...{ listen: `unix://${place}.sock`, upstream: test.endpoint, output: `${place}.tape`, full: true },
    ...{ logger: silentLogger, startWorker: startSourceWorker, warn: () => undefined },
  });
  const client = new CriClient(`unix://${place}.sock`);
  try {
    const events = client.stream('GetContainerEvents', {});
    await events.connected;
    const ended = new Map<string, () => void>();
    let deleted = 0;
    const watched = (async () => {
      for await (const { container_id, container_event_type } of events.messages) {
        if (container_event_type === ContainerEventType.CONTAINER_STOPPED_EVENT) ended.get(container_id)?.();
        // Two containers and their sandbox.
        if (container_event_type === ContainerEventType.CONTAINER_DELETED_EVENT && ++deleted === 3) return;
      }
    })();
    await client.call('Version', {});
    await client.call('Status', {});
    await client.call('ImageStatus', { image: { image: TEST_IMAGE } });
    const { pod_sandbox_id } = await client.call('RunPodSandbox', { config: pod });
    await client.call('PodSandboxStatus', { pod_sandbox_id });
    for (const container of ['main', 'helper']) {
      const config = containerConfig(container, `exit ${exitCode}`, {
        labels: { name: container },
        envs: [{ key: 'COLOUR', value: Buffer.from('blue') }],
      });
      const { container_id } = await client.call('CreateContainer', {
        pod_sandbox_id,
        sandbox_config: pod,
        config,
      });
      await client.call('ListContainers', { filter: { pod_sandbox_id } });
      const stopped = new Promise<void>((resolve) => ended.set(container_id, resolve));
      await client.call('StartContainer', { container_id });
      await stopped;
      const { status } = await client.call('ContainerStatus', { container_id });
      expect(status?.state).toBe(ContainerState.CONTAINER_EXITED);
      await client.call('ListContainers', {});
      await client.call('RemoveContainer', { container_id });
    }
    await client.call('ListPodSandbox', {});
    await client.call('ListPodSandboxStats', {});
    await client.call('ImageFsInfo', {});
    await client.call('StopPodSandbox', { pod_sandbox_id });
    await client.call('RemovePodSandbox', { pod_sandbox_id });
    await expectFailure(client.call('PodSandboxStatus', { pod_sandbox_id }), 'NOT_FOUND', pod_sandbox_id);
    await watched;
    events.cancel();
  } finally {
    client.close();
    await recording.stop();
  }
  const { observation, problems } = await observationOf(`${place}.tape`);
  expect(problems).toEqual([]);
  return observation;
}

it('cri diff finds no difference in a pod that ran twice, and one in a pod that ended differently', async () => {
  const pod = podConfig(test);
  const a = await recorded('a', pod, 0);
  const compared = (b: Observation): Comparison => compare(a, b, rulesFor(a.runtime, b.runtime));

  const same = compared(await recorded('b', pod, 0));
  expect(same.calls.flatMap(({ differences }) => differences)).toEqual([]);
  expect(same).toMatchObject({ allowed: 0, hidden: 0 });

  const other = compared(await recorded('c', pod, 3));
  const paths = new Set(other.calls.flatMap(({ differences }) => differences.map(({ path }) => path)));
  expect([...paths].sort()).toEqual(
    expect.arrayContaining(['ContainerStatus.status.exit_code', 'ContainerStatus.status.reason']),
  );
  expect(renderText(other)).toContain(
    'ContainerStatus.status.exit_code: they are not equal\n    A 0\n    B 3\n',
  );
  expect(renderJunit(other)).toContain('testcase classname="ContainerStatus" name="ContainerStatus ');
});
