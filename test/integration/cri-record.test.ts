import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readCalls } from '../../src/harness/show/calls';
import { Recording } from '../../src/harness/record';
import { silentLogger } from '../../src/lib/logger';
import { ContainerEventType } from '../../src/proto/enums';
import { ALPHA_RUNTIME_SERVICE } from '../../src/proto/service';
import { CriClient } from '../../src/server/client/cri-client';
import { RawHttp2Client } from '../fakes/raw-http2-client';
import { startSourceWorker } from '../unit/support/source-worker';
import { Command } from './support/command';
import { TestDaemon } from './support/daemon';
import { FrameSink } from './support/frame-sink';
import { expectFailure, RawClient } from './support/grpc';
import { containerConfig, exec, FOREVER, output, podConfig } from './support/pods';

const SECRET = 'not-for-the-tape';

let test: TestDaemon;
const place = (name: string): string => join(test.directory, name);
const endpoint = (name: string): string => `unix://${place(name)}`;

beforeAll(async () => (test = await TestDaemon.start()));
afterAll(() => test.stop());

it('cri record passes every byte unchanged, and the tape contains the calls, but no secret', async () => {
  // client → sink → proxy → sink → dockbridge
  const inner = await FrameSink.start(place('inner.sock'), place('cri.sock'));
  const file = place('walk.tape');
  const warnings: string[] = [];
  const recording = await Recording.start({
    ...{ listen: endpoint('proxy.sock'), upstream: endpoint('inner.sock'), output: file, full: false },
    ...{ logger: silentLogger, startWorker: startSourceWorker, warn: (text) => void warnings.push(text) },
  });
  // The recording itself makes some calls, for the head of the tape.
  const before = inner.hashes();
  const outer = await FrameSink.start(place('outer.sock'), place('proxy.sock'));
  const client = new CriClient(endpoint('outer.sock'));
  const config = podConfig(test);
  const { namespace, name } = config.metadata ?? {};
  const pod = `${namespace ?? ''}/${name ?? ''}`;
  try {
    const events = client.stream('GetContainerEvents', {});
    await events.connected;
    const seen: string[] = [];
    const watched = (async () => {
      for await (const { container_id, container_event_type } of events.messages) {
        seen.push(container_id);
        if (container_event_type === ContainerEventType.CONTAINER_DELETED_EVENT) return;
      }
    })();

    const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
    const { container_id } = await client.call('CreateContainer', {
      pod_sandbox_id,
      sandbox_config: config,
      config: containerConfig('main', FOREVER, { envs: [{ key: 'PASSWORD', value: Buffer.from(SECRET) }] }),
    });
    await client.call('StartContainer', { container_id });
    const { stdout } = await client.call('ExecSync', {
      container_id,
      cmd: ['/bin/sh', '-c', 'head -c 3000000 /dev/zero; echo "$PASSWORD"'],
      timeout: 60,
    });
    expect(stdout.length).toBe(SECRET.length + 1 + 3_000_000);
    await client.call('ListContainers', {});
    await client.call('ContainerStatus', { container_id, verbose: true });
    await client.call('ListPodSandboxStats', {});
    await client.call('ImageFsInfo', {});
    await expectFailure(client.call('ContainerStatus', { container_id: 'no-such' }), 'NOT_FOUND', 'no-such');
    await client.call('StopContainer', { container_id, timeout: 0 });
    await client.call('RemoveContainer', { container_id });
    await watched;
    events.cancel();
    await client.call('StopPodSandbox', { pod_sandbox_id });
    await client.call('RemovePodSandbox', { pod_sandbox_id });
    expect(seen).toContain(container_id);
  } finally {
    client.close();
    await outer.stop();
  }
  const { lost, calls, overhead } = await recording.stop();
  const without = ({ requests, answers }: typeof before, own: typeof before): typeof before => ({
    requests: requests.filter((hash) => !own.requests.includes(hash)),
    answers: answers.filter((hash) => !own.answers.includes(hash)),
  });
  expect(outer.hashes().answers.length).toBeGreaterThanOrEqual(12);
  expect(without(inner.hashes(), before)).toEqual(without(outer.hashes(), before));
  await inner.stop();

  expect({ lost, calls, warnings }).toEqual({ lost: 0, calls: 14, warnings: [] });
  expect(overhead.calls).toBeGreaterThanOrEqual(12);
  const text = await readFile(file, 'utf8');
  expect(text).not.toContain(SECRET);
  expect(text).not.toContain(Buffer.from(SECRET).toString('base64').slice(0, -4));
  const tape = await readCalls(file);
  expect(tape.problems).toEqual([]);
  expect(tape.head.upstream).toMatchObject({ runtime_name: 'docker' });
  const told = tape.calls.map(({ method, status, pod: of, container }) => [method, status, of, container]);
  expect(told).toEqual(
    expect.arrayContaining([
      ['RunPodSandbox', 'OK', pod, undefined],
      ['StartContainer', 'OK', pod, 'main'],
      ['ContainerStatus', 'NOT_FOUND', undefined, undefined],
      ['GetContainerEvents', 'CANCELLED', undefined, undefined],
      ['RemovePodSandbox', 'OK', pod, undefined],
    ]),
  );
});

async function recorded(name: string): Promise<Recording> {
  return Recording.start({
    ...{
      listen: endpoint(`${name}.sock`),
      upstream: test.endpoint,
      output: place(`${name}.tape`),
      full: false,
    },
    ...{ logger: silentLogger, startWorker: startSourceWorker, warn: () => undefined },
  });
}

it('answers from the store are the same without the proxy, byte by byte', async () => {
  const recording = await recorded('same');
  const [through, direct] = [new RawHttp2Client(place('same.sock')), new RawHttp2Client(place('cri.sock'))];
  try {
    for (const client of [through, direct]) {
      client.greet();
      await client.settings;
    }
    for (const path of [
      '/runtime.v1.RuntimeService/Version',
      '/runtime.v1alpha2.RuntimeService/Version',
      '/runtime.v1.RuntimeService/Status',
      '/runtime.v1.RuntimeService/RuntimeConfig',
      '/runtime.v1.RuntimeService/ListContainers',
      '/runtime.v1.ImageService/ListImages',
      '/runtime.v1.RuntimeService/StreamContainers',
      '/runtime.v1.RuntimeService/NoSuchMethod',
    ]) {
      const [mine, theirs] = [
        await through.call(path, Buffer.alloc(0)),
        await direct.call(path, Buffer.alloc(0)),
      ];
      // Each server sends a date of its own.
      delete mine.headers.date;
      delete theirs.headers.date;
      expect(mine).toEqual(theirs);
    }
  } finally {
    for (const { socket } of [through, direct]) socket.destroy();
    await recording.stop();
  }
});

it('cri record passes on cancellations, deadlines and calls of v1alpha2, and records them', async () => {
  const recording = await recorded('ends');
  const client = new CriClient(endpoint('ends.sock'));
  const raw = new RawClient(endpoint('ends.sock'));
  const old = new RawHttp2Client(place('ends.sock'));
  try {
    const config = podConfig(test);
    const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
    const created = { pod_sandbox_id, sandbox_config: config, config: containerConfig('main', FOREVER) };
    const { container_id } = await client.call('CreateContainer', created);
    await client.call('StartContainer', { container_id });

    const call = raw.open('ExecSync', { container_id, cmd: ['tail', '-f', '/dev/null'] });
    await output(test, container_id, 'until pgrep tail; do :; done');
    call.cancel();
    await expectFailure(call.ended, 'CANCELLED');
    await output(test, container_id, 'while pgrep tail; do :; done');

    const late = client.call('ExecSync', { container_id, cmd: ['tail', '-f', '/dev/null'] }, 1_000);
    await expectFailure(late, 'DEADLINE_EXCEEDED');
    expect((await exec(test, container_id, 'while pgrep tail; do :; done')).code).toBe(0);

    old.greet();
    await old.settings;
    const { ListContainers } = ALPHA_RUNTIME_SERVICE;
    const { messages } = await old.call(ListContainers.path, Buffer.alloc(0));
    const { containers } = ListContainers.responseDeserialize(messages[0]!);
    expect(containers.map(({ id }) => id)).toEqual([container_id]);
    await client.call('RemovePodSandbox', { pod_sandbox_id });
  } finally {
    client.close();
    raw.close();
    old.socket.destroy();
    await recording.stop();
  }
  const { calls, problems } = await readCalls(place('ends.tape'));
  expect(problems).toEqual([]);
  const told = calls.map(({ method, api, status }) => [method, api, status]);
  expect(told).toEqual(
    expect.arrayContaining([
      ['ExecSync', 'v1', 'CANCELLED'],
      ['ExecSync', 'v1', 'DEADLINE_EXCEEDED'],
      ['ListContainers', 'v1alpha2', 'OK'],
    ]),
  );
  const endOf = (status: string): unknown => calls.find((call) => call.status === status)?.by;
  expect(endOf('CANCELLED')).toBe('client');
  // Client and runtime both know the deadline. The side whose clock is first ends the call. If this is
  // the runtime, the tape does not say who ended the call.
  expect(['client', undefined]).toContain(endOf('DEADLINE_EXCEEDED'));
});

it('cri record and cri show have the documented exit codes', async () => {
  const tape = place('command.tape');
  const record = [
    'cri',
    'record',
    '--listen',
    endpoint('command.sock'),
    '--upstream',
    test.endpoint,
    '-o',
    tape,
  ];
  const command = new Command(record);
  // The line is written when the socket exists.
  while (!command.stderr.includes('passes calls on')) await new Promise((resolve) => setImmediate(resolve));
  const client = new CriClient(endpoint('command.sock'));
  await client.call('Version', {});
  await expectFailure(client.call('PodSandboxStatus', { pod_sandbox_id: 'no-such' }), 'NOT_FOUND');
  client.close();
  command.signal('SIGTERM');
  expect(await command.exit()).toBe(0);
  expect(command.stdout).toMatch(
    /^2 calls, \d+ bytes in .*command\.tape, 0 lines lost\nTime that calls spent inside/,
  );

  const again = new Command(record);
  expect(await again.exit()).toBe(2);
  expect(again.stderr).toContain('cannot write the tape: EEXIST');

  const show = new Command(['cri', 'show', tape, '--failed']);
  expect(await show.exit()).toBe(0);
  expect(show.stdout).toContain('2 calls, 1 shown');
  expect(show.stdout).toMatch(/PodSandboxStatus .* NOT_FOUND/);
  const foreign = new Command(['cri', 'show', join(__dirname, 'cri-record.test.ts')]);
  expect(await foreign.exit()).toBe(2);
  expect(foreign.stderr).toContain('is not a tape');
  await rm(tape);
});
