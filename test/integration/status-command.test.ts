import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StatusReport } from '../../src/server/status-report';
import { ChildDaemon } from './support/child-daemon';
import { Command } from './support/command';
import { sharedDockerHost, TEST_IMAGE } from './support/engine';
import { EngineProxy } from './support/engine-proxy';

jest.setTimeout(300_000);

const statusOf = async (daemon: ChildDaemon): Promise<StatusReport> => {
  const command = new Command(['status', '-o', 'json', '--run-dir', join(daemon.directory, 'run')]);
  expect(await command.exit()).toBe(0);
  return JSON.parse(command.stdout) as StatusReport;
};

it('status shows pods and containers, a hanging call and its subject, and the loss of the Engine', async () => {
  const proxy = await EngineProxy.start(sharedDockerHost());
  const daemon = await ChildDaemon.start([], proxy.dockerHost);
  try {
    const sandbox = {
      metadata: { name: `status-${process.pid}`, uid: 'u', namespace: 'test', attempt: 0 },
      log_directory: daemon.logDirectory,
      linux: {},
    };
    const { pod_sandbox_id: pod } = await daemon.client.call('RunPodSandbox', { config: sandbox });
    const { container_id: container } = await daemon.client.call('CreateContainer', {
      pod_sandbox_id: pod,
      sandbox_config: sandbox,
      config: {
        metadata: { name: 'deaf', attempt: 0 },
        image: { image: TEST_IMAGE },
        command: ['/bin/sh', '-c', 'trap "" TERM; while :; do sleep 1; done'],
        log_path: 'deaf.log',
        linux: {},
      },
    });
    await daemon.client.call('StartContainer', { container_id: container });
    const before = await statusOf(daemon);
    expect(before).toMatchObject({
      pid: daemon.pid,
      refuses: '',
      engine: { state: 'connected', reason: '' },
      network: { ready: true, left: 0 },
      sandboxes: { ready: 1, notready: 0 },
      containers: { running: 1 },
      logs: { trouble: '', followed: 1 },
    });
    expect(before.network.failures).toEqual({});
    expect(before.calls.oldest).toEqual([]);

    const stopping = daemon.client.call('StopContainer', { container_id: container, timeout: 600 });
    stopping.catch(() => undefined);
    let stuck = await statusOf(daemon);
    while (stuck.calls.engine.length === 0) stuck = await statusOf(daemon);
    expect(stuck.calls.oldest).toEqual([
      { method: 'StopContainer', age: expect.any(Number) as number, about: { container } },
    ]);
    expect(stuck.calls.engine).toMatchObject([{ lane: 'stop', underWay: 1 }]);

    const watch = new Command(['status', '-w', '--run-dir', join(daemon.directory, 'run')]);
    await watch.prints('StopContainer');
    await watch.prints(`container ${container.slice(0, 12)}`);
    await proxy.stop();
    await watch.prints('AWAY');
    expect((await statusOf(daemon)).engine).toMatchObject({
      state: 'away',
      reason: expect.stringMatching(/./) as string,
    });
    watch.signal('SIGINT');
    expect(await watch.exit()).toBe(0);
    expect(watch.stderr).toBe('');
  } finally {
    await daemon.kill9();
    await proxy.stop();
    // A daemon with a working Engine removes the pod.
    await daemon.launch(undefined, sharedDockerHost());
    await daemon.stop();
  }
});

it('status says that no daemon runs, and gives advice', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dockbridge-status-'));
  try {
    const command = new Command([
      ...['status', '--run-dir', directory],
      ...['--container-runtime-endpoint', `unix://${directory}/cri.sock`],
    ]);
    expect(await command.exit()).toBe(1);
    expect(command.stdout).toBe('');
    expect(command.stderr).toMatch(
      /^dockbridge status: no dockbridge answers at .*control\.sock\. Start it \(systemctl start dockbridge\).*dockbridge doctor/,
    );
  } finally {
    await rm(directory, { recursive: true });
  }
});
