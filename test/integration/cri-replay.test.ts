import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compare } from '../../src/harness/compare/compare';
import { rulesFor } from '../../src/harness/compare/rules';
import { readRecorded } from '../../src/harness/drive/recorded';
import { replay, type Replayed } from '../../src/harness/drive/replay';
import { runScenario } from '../../src/harness/drive/run-scenario';
import { readScenario } from '../../src/harness/drive/scenario';
import { SMOKE } from '../../src/harness/drive/smoke';
import { Recording } from '../../src/harness/record';
import { renderText } from '../../src/harness/report/text';
import type { Observation } from '../../src/harness/observation';
import { silentLogger } from '../../src/lib/logger';
import { ContainerEventType, ContainerState } from '../../src/proto/enums';
import { CriClient } from '../../src/server/client/cri-client';
import { startSourceWorker } from '../unit/support/source-worker';
import { Command } from './support/command';
import { TestDaemon } from './support/daemon';
import { TEST_IMAGE } from './support/engine';
import { containerConfig, FOREVER, podConfig } from './support/pods';

let test: TestDaemon;
let tape: string;
const place = (name: string): string => join(test.directory, name);
const signal = new AbortController().signal;

beforeAll(async () => {
  test = await TestDaemon.start();
  tape = await recordWalk();
});
afterAll(() => test.stop());

/**
 * Records the calls of a kubelet for two pods, one of which has a container that ends by itself.
 * @returns the path of the tape.
 */
async function recordWalk(): Promise<string> {
  const output = place('walk.tape');
  const recording = await Recording.start({
    ...{ listen: `unix://${place('proxy.sock')}`, upstream: test.endpoint, output, full: false },
    ...{ logger: silentLogger, startWorker: startSourceWorker, warn: () => undefined },
  });
  const client = new CriClient(`unix://${place('proxy.sock')}`);
  const events = client.stream('GetContainerEvents', {});
  try {
    await events.connected;
    const config = podConfig(test, { labels: { app: 'web' }, annotations: { note: 'text' } });
    const other = podConfig(test);
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
          { container_path: '/data', host_path: place('kubelet/volumes/data') },
          { container_path: '/etc/hosts', host_path: place('kubelet/etc-hosts') },
        ],
      });
      const request = { pod_sandbox_id, sandbox_config: config, config: container };
      const { container_id } = await client.call('CreateContainer', request);
      await client.call('StartContainer', { container_id });
      return container_id;
    };
    await mkdirs();
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
    await recording.stop();
  }
  return output;
}

async function mkdirs(): Promise<void> {
  await mkdir(place('kubelet/volumes/data'), { recursive: true });
  await writeFile(place('kubelet/etc-hosts'), '127.0.0.1 localhost\n');
}

async function replayed(): Promise<Replayed> {
  const options = { to: test.endpoint, speed: 'max', images: new Map(), waitMs: 10_000, signal } as const;
  return replay(tape, await readRecorded(tape), { ...options, scratch: place('scratch') });
}

const difference = (a: Observation, b: Observation): string => {
  const comparison = compare(a, b, rulesFor(a.runtime, b.runtime));
  return comparison.differences === 0 ? '' : renderText(comparison);
};

it('cri replay finds no difference on the runtime on which the tape was made, and leaves nothing behind', async () => {
  const { recorded, live, skipped, left } = await replayed();
  expect(difference(recorded, live)).toBe('');
  expect({ skipped, left }).toEqual({ skipped: [], left: [] });
  expect(live.calls.length).toBeGreaterThan(25);
  const statuses = live.calls.filter(({ method }) => method === 'ContainerStatus');
  expect(
    statuses.map(({ response }) => (response?.status as { exit_code?: number } | undefined)?.exit_code),
  ).toContain(3);
  expect((await test.client.call('ListPodSandbox', {})).items).toEqual([]);
  expect(await readdir(place('scratch'))).toEqual([]);
});

it('cri replay has the documented exit codes and output, and handles a signal', async () => {
  const args = ['cri', 'replay', tape, '--to', test.endpoint, '--scratch', place('scratch')];
  const same = new Command([...args, '--junit', place('replay.xml')]);
  expect([await same.exit(), same.stderr.includes('hidden value')]).toEqual([0, true]);

  const nowhere = new Command(['cri', 'replay', tape, '--to', `unix://${place('none.sock')}`]);
  expect(await nowhere.exit()).toBe(2);
  expect(nowhere.stderr).toContain('does not answer');

  const foreign = new Command(['cri', 'replay', __filename, '--to', test.endpoint]);
  expect(await foreign.exit()).toBe(2);
  expect(foreign.stderr).toContain('is not a tape');

  const slow = new Command([...args, '--speed', '1x']);
  while ((await test.client.call('ListPodSandbox', {})).items.length === 0);
  slow.signal('SIGINT');
  expect(await slow.exit()).toBe(2);
  expect(slow.stderr).toContain('interrupted');
  expect((await test.client.call('ListPodSandbox', {})).items).toEqual([]);
  expect(await readdir(place('scratch'))).toEqual([]);
}, 180_000);

it('the built-in scenario passes, and two runs of it do not differ', async () => {
  const images = new Map([['docker.io/library/busybox:stable', TEST_IMAGE]]);
  const run = async (): ReturnType<typeof runScenario> =>
    runScenario(test.endpoint, readScenario(SMOKE), { images, signal, scratch: place('scratch') });
  const [one, other] = [await run(), await run()];
  expect([one.unmet, one.left, other.unmet]).toEqual([[], [], []]);
  expect(difference(one.observation, other.observation)).toBe('');
}, 180_000);
