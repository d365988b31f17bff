import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readRecorded } from '../../../src/harness/drive/recorded';
import { replay, type ReplayOptions, type Replayed } from '../../../src/harness/drive/replay';
import { asText } from '../../../src/harness/json';
import type { Observation } from '../../../src/harness/observation';
import type { JsonObject } from '../../../src/proto/fields';
import { FakeCri, type Spoil } from './support/fake-cri';
import { containerOf, podOf, recorded, walk } from './support/replay-walk';

let a: FakeCri;
let b: FakeCri;
beforeEach(async () => {
  a = await FakeCri.start('aaaa');
  b = await FakeCri.start('bbbb');
});
afterEach(async () => {
  await a.stop();
  await b.stop();
});

async function replayed(tape: string, more: Partial<ReplayOptions> = {}): Promise<Replayed> {
  return replay(tape, await readRecorded(tape), {
    ...{
      to: b.endpoint,
      speed: 'max',
      images: new Map(),
      waitMs: 500,
      scratch: join(b.directory, 'scratch'),
    },
    ...{ signal: new AbortController().signal, ...more },
  });
}

/** Returns the answers, with the ids of both runtimes replaced by the same names. */
const answers = ({ calls }: Observation): unknown[] =>
  (
    JSON.parse(
      JSON.stringify(calls)
        .replace(/(aaaa|bbbb)\d+0*/g, 'ID')
        .replace(/10\.0\.0\.\d+/g, 'IP'),
    ) as Observation['calls']
  ).map(({ n, method, status, response, messages }) => ({ n, method, status, response, messages }));

it('a replay on an equal runtime shows no difference, and leaves nothing behind', async () => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  const { recorded: was, live, skipped, collapsed, notes, left } = await replayed(tape);
  expect(answers(live)).toEqual(answers(was));
  expect(was.runtime).toEqual({ name: 'aaaa', version: '1.0.0' });
  expect(live.runtime).toEqual({ name: 'bbbb', version: '1.0.0' });
  expect(live.calls.map(({ method, pod, container, status }) => [method, pod, container, status])).toEqual([
    ['ImageStatus', undefined, undefined, 'OK'],
    ['RunPodSandbox', 'test/web', undefined, 'OK'],
    ['PodSandboxStatus', 'test/web', undefined, 'OK'],
    ['CreateContainer', 'test/web', 'main', 'OK'],
    ['StartContainer', 'test/web', 'main', 'OK'],
    ['ContainerStatus', 'test/web', 'main', 'OK'],
    ['ExecSync', 'test/web', 'main', 'OK'],
    ['ListContainers', undefined, undefined, 'OK'],
    ['StopContainer', 'test/web', 'main', 'OK'],
    ['ContainerStatus', 'test/web', 'main', 'OK'],
    ['RemoveContainer', 'test/web', 'main', 'OK'],
    ['ContainerStatus', 'test/web', 'main', 'NOT_FOUND'],
    ['StopPodSandbox', 'test/web', undefined, 'OK'],
    ['RemovePodSandbox', 'test/web', undefined, 'OK'],
    ['ListPodSandbox', undefined, undefined, 'OK'],
  ]);
  expect({ skipped, collapsed, left }).toEqual({ skipped: [], collapsed: 2, left: [] });
  expect(notes).toEqual([
    '1 hidden value of the tape was replaced, so containers may behave differently',
    'the control group /kubepods/no-such-group does not exist on this machine and was left out',
  ]);
  expect(b.left).toEqual([]);
  expect(await readdir(join(b.directory, 'scratch'))).toEqual([]);
});

it('requests have paths of this machine, replacements for hidden values and no cgroup that does not exist here', async () => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  const kinds: Record<string, boolean> = {};
  b.onCall = async ({ method, request }) => {
    if (method !== 'CreateContainer') return;
    const { mounts = [] } = request.config as { mounts?: { host_path: string; container_path: string }[] };
    for (const { host_path, container_path } of mounts)
      kinds[container_path] = (await stat(host_path)).isDirectory();
    const { log_directory } = request.sandbox_config as { log_directory: string };
    kinds.logs = (await stat(join(log_directory, 'main'))).isDirectory();
  };
  await replayed(tape);
  expect(kinds).toEqual({ '/etc/hosts': false, '/data': true, '/sys': true, logs: true });
  const { request } = b.calls.find(({ method }) => method === 'CreateContainer')!;
  const { sandbox_config, config } = request as { sandbox_config: JsonObject; config: JsonObject };
  const scratch = expect.stringContaining(join(b.directory, 'scratch')) as string;
  expect(sandbox_config).toMatchObject({
    log_directory: scratch,
    linux: expect.not.objectContaining({ cgroup_parent: expect.anything() as string }) as JsonObject,
  });
  const [{ value }] = config.envs as [{ value: string }];
  expect(Buffer.from(value, 'base64').toString()).toMatch(/^hidden:[0-9a-f]{16}$/);
  expect((config.mounts as JsonObject[]).map(({ host_path }) => host_path)).toEqual([
    expect.stringMatching(/scratch.*\/mounts\/[0-9a-f]{32}$/),
    expect.stringMatching(/scratch.*\/mounts\/[0-9a-f]{32}$/),
    '/sys',
  ]);
});

it('pods are replayed at the same time, and their ids are not mixed up', async () => {
  const tape = await recorded(a, async (call) => {
    await Promise.all(['one', 'two', 'three', 'four'].map((name) => walk(call, name)));
  });
  // The endpoint answers in another order than the recorded runtime.
  let slow = 4;
  b.onCall = async ({ method }) => {
    if (method === 'RunPodSandbox') await new Promise((resolve) => setTimeout(resolve, 20 * slow--));
  };
  const { recorded: was, live } = await replayed(tape);
  expect(live.calls).toHaveLength(was.calls.length);
  const texts = live.calls
    .filter(({ method }) => method === 'ExecSync')
    .map(({ pod, response }) => [pod, Buffer.from(response?.stdout as string, 'base64').toString()]);
  expect(texts.sort()).toEqual(
    ['four', 'one', 'three', 'two'].map((name) => [`test/${name}`, `echo ${name}\n`]),
  );
  for (const { method, pod, response } of live.calls)
    if (method === 'ContainerStatus' && response !== undefined)
      expect(response).toMatchObject({
        status: {
          mounts: expect.anything() as unknown,
          log_path: `/var/log/pods/test_${pod!.split('/')[1]!}/main/0.log`,
        },
      });
});

it('events are collected while the calls are made, without those of other pods', async () => {
  const tape = await recorded(a, async (call, endpoint) => {
    const stop = new AbortController();
    let opened!: () => void;
    const open = new Promise<void>((resolve) => (opened = resolve));
    const events = endpoint.call('GetContainerEvents', {}, { signal: stop.signal, onOpen: opened });
    await open;
    await walk(call, 'web');
    stop.abort();
    await events;
  });
  const { recorded: was, live } = await replayed(tape);
  const types = ({ calls }: Observation): unknown =>
    calls
      .find(({ method }) => method === 'GetContainerEvents')
      ?.messages?.map(({ container_event_type = 'CONTAINER_CREATED_EVENT' }) => container_event_type);
  expect(types(live)).toEqual([
    ...['CONTAINER_CREATED_EVENT', 'CONTAINER_CREATED_EVENT', 'CONTAINER_STARTED_EVENT'],
    ...['CONTAINER_STOPPED_EVENT', 'CONTAINER_DELETED_EVENT'],
  ]);
  expect(types(was)).toEqual(types(live));
  expect(live.calls.find(({ method }) => method === 'GetContainerEvents')?.status).toBe('CANCELLED');
});

it('a stream that its client ended early ends as early in the replay', async () => {
  const tape = await recorded(a, async (call, endpoint) => {
    const stop = new AbortController();
    let opened!: () => void;
    const open = new Promise<void>((resolve) => (opened = resolve));
    const events = endpoint.call('GetContainerEvents', {}, { signal: stop.signal, onOpen: opened });
    await open;
    const { pod_sandbox_id = '' } = await call('RunPodSandbox', { config: podOf('web') });
    stop.abort();
    await events;
    const request = { pod_sandbox_id, sandbox_config: podOf('web'), config: containerOf('main') };
    await call('CreateContainer', request);
  });
  const { live } = await replayed(tape);
  expect(live.calls[0]?.messages).toHaveLength(1);
  expect(live.calls).toHaveLength(3);
});

it('the replay waits for a state, and does not compare a state that is already over', async () => {
  const lives = async (fake: FakeCri, exit: (id: string) => void): Promise<string> =>
    recorded(fake, async (call) => {
      const { pod_sandbox_id = '' } = await call('RunPodSandbox', { config: podOf('job') });
      const request = { pod_sandbox_id, sandbox_config: podOf('job'), config: containerOf('main') };
      const { container_id = '' } = await call('CreateContainer', request);
      await call('StartContainer', { container_id });
      await call('ContainerStatus', { container_id });
      exit(asText(container_id));
      await call('ContainerStatus', { container_id });
      await call('RemovePodSandbox', { pod_sandbox_id });
    });
  const tape = await lives(a, (id) => a.exit(id, 3));
  let asked = 0;
  b.onCall = ({ method, request }) => {
    // The container runs when the replay asks for it, and ends at the fourth poll.
    if (method === 'ContainerStatus' && ++asked === 4) b.exit(asText(request.container_id), 3);
  };
  const late = await replayed(tape);
  expect(answers(late.live)).toEqual(answers(late.recorded));

  b.onCall = ({ method, request }) => {
    if (method === 'ContainerStatus') b.exit(asText(request.container_id), 3);
  };
  const early = await replayed(tape);
  expect(early.notes).toContain('1 state was over before the replay could poll, and cannot be compared');
  expect(answers(early.live)).toEqual(answers(early.recorded));
});

const changed =
  (method: string, change: (answer: JsonObject) => JsonObject): Spoil =>
  (call, answer) =>
    call.method === method ? change(answer) : answer;
const status =
  (change: (status: JsonObject) => JsonObject) =>
  (answer: JsonObject): JsonObject => ({ status: change(answer.status as JsonObject) });

it.each<[string, Spoil]>([
  [
    'a wrong exit code',
    changed(
      'ContainerStatus',
      status((one) => (one.exit_code === undefined ? one : { ...one, exit_code: 0 })),
    ),
  ],
  [
    'a lost label',
    changed(
      'ContainerStatus',
      status(({ labels: _lost, ...rest }) => rest),
    ),
  ],
  [
    'mounts in another order',
    changed(
      'ContainerStatus',
      status((one) => ({ ...one, mounts: [...(one.mounts as JsonObject[])].reverse() })),
    ),
  ],
  [
    'a state that is never reached',
    changed(
      'ContainerStatus',
      status((one) => ({ ...one, state: 'CONTAINER_UNKNOWN' })),
    ),
  ],
  ['a list that lacks a container', changed('ListContainers', () => ({}))],
  ['different output', changed('ExecSync', () => ({ stdout: 'AAAA' }))],
  [
    'a missing event',
    (call, answer) => (answer.container_event_type === 'CONTAINER_STOPPED_EVENT' ? {} : answer),
  ],
])('the replay shows %s', async (_, spoil) => {
  const tape = await recorded(a, async (call, endpoint) => {
    const stop = new AbortController();
    let opened!: () => void;
    const open = new Promise<void>((resolve) => (opened = resolve));
    const events = endpoint.call('GetContainerEvents', {}, { signal: stop.signal, onOpen: opened });
    await open;
    await walk(call, 'web');
    stop.abort();
    await events;
  });
  b.spoil = spoil;
  const { recorded: was, live } = await replayed(tape, { waitMs: 100 });
  expect(answers(live)).not.toEqual(answers(was));
  expect(b.left).toEqual([]);
});

it('the replay says which calls it cannot replay', async () => {
  a.pods.set('old'.padEnd(64, '0'), {
    id: 'old'.padEnd(64, '0'),
    config: podOf('old'),
    state: 'SANDBOX_READY',
  });
  const tape = await recorded(a, async (call) => {
    await call('PodSandboxStatus', { pod_sandbox_id: 'old'.padEnd(64, '0') });
    await call('StopPodSandbox', { pod_sandbox_id: 'old'.padEnd(64, '0') });
    await call('UpdateRuntimeConfig', {});
    await call('PullImage', { image: { image: 'busybox:1' } });
    await call('PullImage', { image: { image: 'new:1' } });
    await call('RemoveImage', { image: { image: 'busybox:1' } });
    const { pod_sandbox_id = '' } = await call('RunPodSandbox', { config: podOf('web') });
    const config = containerOf('main', { image: { image: 'busybox:2' } });
    a.images.set('busybox:2', `sha256:${'c'.repeat(64)}`);
    const { container_id = '' } = await call('CreateContainer', {
      ...{ pod_sandbox_id, sandbox_config: podOf('web'), config },
    });
    await call('StartContainer', { container_id });
  });
  const { skipped, live } = await replayed(tape);
  expect(skipped.map(({ method, why }) => `${method}: ${why}`)).toEqual([
    'PodSandboxStatus: it is about old0000000000, which was created before the recording began or is not on the tape',
    'StopPodSandbox: it is about old0000000000, which was created before the recording began or is not on the tape',
    "UpdateRuntimeConfig: it would change the node's pod network",
    'PullImage: the endpoint already has this image',
    'RemoveImage: the image was not pulled by this replay',
    'CreateContainer: the endpoint has no image busybox:2: pull it there, or name another with --image RECORDED=LOCAL',
    'StartContainer: the container test/web/0/main/0 does not exist, because the call that creates it was not replayed or failed',
  ]);
  expect(live.calls.map(({ method }) => method)).toEqual(['PullImage', 'RunPodSandbox']);
  expect(b.left).toEqual([]);
  // The image that the replay pulled is gone, and the earlier one is still there.
  expect([...b.images.keys()]).toEqual(['busybox:1']);

  const images = new Map([['busybox:2', 'busybox:1']]);
  const again = await replayed(tape, { images });
  expect(again.live.calls.map(({ method }) => method)).toEqual([
    'PullImage',
    'RunPodSandbox',
    'CreateContainer',
    'StartContainer',
  ]);
});

it('the replay names an image by the name that the tape gives', async () => {
  const image = { image: 'busybox:1', user_specified_image: 'busybox:1' };
  const tape = await recorded(a, async (call) => walk(call, 'web', { image }));
  await replayed(tape);
  const { request } = b.calls.find(({ method }) => method === 'CreateContainer')!;
  expect(request.config).toMatchObject({ image });
});

it('a pod of the same name on the endpoint is not touched', async () => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  b.pods.set('theirs', { id: 'theirs', config: podOf('web'), state: 'SANDBOX_READY' });
  await expect(replayed(tape)).rejects.toThrow('already has a pod test/web');
  expect([...b.pods.keys()]).toEqual(['theirs']);
});

it('an endpoint that goes away and comes back causes an error, and nothing is left', async () => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  let back: Promise<void> | undefined;
  b.onCall = ({ method }) => {
    if (method !== 'ExecSync' || back !== undefined) return;
    b.die();
    back = new Promise((resolve, reject) => setTimeout(() => void b.listen().then(resolve, reject), 8_000));
  };
  await expect(replayed(tape)).rejects.toThrow('stopped answering during the replay');
  await back;
  expect(b.left).toEqual([]);
  expect(await readdir(join(b.directory, 'scratch'))).toEqual([]);
});

it('an endpoint that does not exist causes an error', async () => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  b.die();
  await expect(replayed(tape)).rejects.toThrow(`${b.endpoint} does not answer`);
});

it('a signal ends the replay, even in the middle of a call, and nothing is left', async () => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  const stop = new AbortController();
  b.onCall = ({ method }) => {
    if (method !== 'ExecSync') return undefined;
    stop.abort();
    return new Promise(() => undefined);
  };
  await expect(replayed(tape, { signal: stop.signal })).rejects.toThrow('interrupted');
  expect(b.left).toEqual([]);
});

it('a truncated tape is reported, and a tape with nothing to replay causes an error', async () => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  const text = await readFile(tape, 'utf8');
  await writeFile(tape, text.slice(0, text.length / 2));
  const cut = await readRecorded(tape);
  expect(cut.problems.join('\n')).toMatch(/is cut off[\s\S]*is the last line but not the end of a tape/);

  const empty = await recorded(a, async (call) => {
    await call('UpdateRuntimeConfig', {});
  });
  await expect(replayed(empty)).rejects.toThrow(
    "no call that can be replayed: the first is UpdateRuntimeConfig, but it would change the node's pod network",
  );
});
