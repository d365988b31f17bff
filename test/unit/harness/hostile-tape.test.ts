import { mkdir, readdir, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { readRecorded } from '../../../src/harness/drive/recorded';
import { replay, type Replayed } from '../../../src/harness/drive/replay';
import type { ObservedCall } from '../../../src/harness/observation';
import type { JsonObject } from '../../../src/proto/fields';
import { fromJson } from '../../../src/proto/json-to-message';
import { FakeCri } from './support/fake-cri';
import { podOf } from './support/replay-walk';
import { writeTape } from './support/tape';

let fake: FakeCri;
beforeEach(async () => (fake = await FakeCri.start('live')));
afterEach(async () => fake.stop());

type Written = readonly [method: string, request: JsonObject, response?: JsonObject];

/** Writes these calls to a tape and replays it. */
async function replayed(calls: readonly Written[]): Promise<Replayed> {
  const tape = join(fake.directory, 'hostile.tape');
  await writeTape(tape, {
    ...{ source: tape, runtime: { name: 'live', version: '1.0.0' } },
    calls: calls.map(([method, request, response = {}], at): ObservedCall => {
      return { n: at + 1, t: at, ms: 10, method, request, status: 'OK', response };
    }),
  });
  return replay(tape, await readRecorded(tape), {
    ...{ to: fake.endpoint, speed: 'max', images: new Map(), waitMs: 100 },
    ...{ scratch: join(fake.directory, 'scratch'), signal: new AbortController().signal },
  });
}

const raw = (message: string, json: JsonObject): JsonObject => ({
  '@unknown': [fromJson(message, json).toString('base64')],
});
const RUN: Written = ['RunPodSandbox', { config: podOf('web') }, { pod_sandbox_id: 'tape-pod' }];
const created = (config: JsonObject, pod: JsonObject = podOf('web')): Written => [
  'CreateContainer',
  {
    ...{ pod_sandbox_id: 'tape-pod', sandbox_config: pod },
    config: { metadata: { name: 'main' }, image: { image: 'busybox:1' }, ...config },
  },
  { container_id: 'tape-container' },
];

it('raw bytes in a tape replace no checked field: they are left out and reported', async () => {
  fake.pods.set('foreign', { id: 'foreign', config: podOf('theirs'), state: 'SANDBOX_READY' });
  const shadow = { mounts: [{ host_path: '/etc/shadow', container_path: '/s' }] };
  const { notes, live, recorded } = await replayed([
    RUN,
    created({
      ...raw('ContainerConfig', shadow),
      mounts: [{ container_path: '/m', ...raw('Mount', { host_path: '/' }) }],
    }),
    [
      'StopPodSandbox',
      { pod_sandbox_id: 'tape-pod', ...raw('StopPodSandboxRequest', { pod_sandbox_id: 'foreign' }) },
    ],
    [
      'RemovePodSandbox',
      { pod_sandbox_id: 'tape-pod', ...raw('RemovePodSandboxRequest', { pod_sandbox_id: 'foreign' }) },
    ],
  ]);
  expect([...fake.pods.values()]).toEqual([
    expect.objectContaining({ id: 'foreign', state: 'SANDBOX_READY' }),
  ]);
  expect(JSON.stringify(fake.calls)).not.toMatch(/foreign|shadow|@unknown/);
  expect(notes).toContain('3 requests were replayed without fields that this version does not know');
  // The omitted parts are not a difference.
  expect(JSON.stringify([live, recorded])).not.toContain('@unknown');
});

it.each([
  ['../../../../etc/cron.d/evil', podOf('web'), 'its log_path ../../../../etc/cron.d/evil leads out'],
  ['a/../../evil', podOf('web'), 'its log_path a/../../evil leads out of the log directory'],
  ['/etc/cron.d/evil', { metadata: { name: 'web' } }, 'it has a log_path but no log_directory'],
])('a log at %s is not created', async (log_path, pod, why) => {
  const { skipped } = await replayed([RUN, created({ log_path }, pod)]);
  expect(skipped).toEqual([
    expect.objectContaining({ method: 'CreateContainer', why: expect.stringContaining(why) as string }),
  ]);
  expect(fake.methods()).not.toContain('CreateContainer');
});

interface Mounted {
  readonly host_path: string;
  readonly container_path: string;
  readonly readonly?: boolean;
}

/** Returns the mounts that the endpoint is asked for with these paths of a tape. */
async function mountsFor(paths: readonly string[]): Promise<readonly Mounted[]> {
  const mounts = paths.map((host_path, at) => ({ host_path, container_path: `/${at}` }));
  await replayed([RUN, created({ mounts })]);
  const { config } = fake.calls.find(({ method }) => method === 'CreateContainer')!.request;
  return (config as unknown as { mounts: readonly Mounted[] }).mounts;
}

it('a mount of files of a process, of a parent or root directory, or through a link out of /dev is a scratch directory', async () => {
  const paths = [
    '/proc/1/root/etc',
    `/proc/${process.pid}/cwd`,
    '/proc/self/fd',
    '/dev/fd',
    '../../etc',
    '/',
  ];
  for (const { host_path } of await mountsFor(paths))
    expect(host_path).toMatch(
      new RegExp(`^${fake.directory}/scratch/dockbridge-cri-\\w+/mounts/[0-9a-f]{32}$`),
    );
});

it("the kernel's files are mounted as they are and the node's files read-only, but only paths of the tape are compared", async () => {
  const mounts = ['/proc', '/sys/', '/dev/null', '/usr/share/zoneinfo', '/etc/pki/no-such-file'].map(
    (host_path) => ({ host_path, container_path: `/mnt${host_path}` }),
  );
  const { live } = await replayed([
    ...[RUN, created({ mounts })],
    ['ContainerStatus', { container_id: 'tape-container' }, { status: { id: 'tape-container' } }],
  ]);
  const { config } = fake.calls.find(({ method }) => method === 'CreateContainer')!.request;
  expect((config as JsonObject).mounts).toEqual([
    ...mounts.slice(0, 3),
    { ...mounts[3], readonly: true },
    { ...mounts[4], host_path: expect.stringContaining('/mounts/') as string },
  ]);
  expect(live.calls[1]?.request.config).toMatchObject({ mounts });
  expect(live.calls[2]?.response?.status).toMatchObject({ mounts });
});

it('a link that a container makes in its mount leads to no other file', async () => {
  const precious = join(fake.directory, 'precious');
  await mkdir(precious);
  const seen: string[] = [];
  fake.onCall = async ({ method, request }) => {
    if (method !== 'CreateContainer') return;
    const [{ host_path }] = (request.config as unknown as { mounts: readonly [Mounted] }).mounts;
    seen.push(host_path);
    // The first container makes the link.
    if (seen.length === 1) await symlink(precious, join(host_path, 'link'));
  };
  const mount = (host_path: string): JsonObject => ({ mounts: [{ host_path, container_path: '/m' }] });
  await replayed([
    RUN,
    created(mount('/data')),
    created(mount('/data/link/made')),
    created(mount('/data/link/a.conf')),
  ]);
  expect(seen).toHaveLength(3);
  expect(await readdir(precious)).toEqual([]);
});

it('compared paths are those of the tape, and everybody may write to the mounts under any umask', async () => {
  const umask = process.umask(0o077);
  const modes: number[] = [];
  fake.onCall = async ({ method, request }) => {
    if (method !== 'CreateContainer') return;
    const { mounts } = request.config as unknown as { mounts: readonly Mounted[] };
    for (const { host_path } of mounts) modes.push((await stat(host_path)).mode & 0o777);
  };
  try {
    const mounts = ['/data/', '/data//sub/./x', '/data/app.conf'].map((host_path, at) => ({
      ...{ host_path, container_path: `/${at}` },
    }));
    const pod = podOf('web', { log_directory: '/var/log/web/' });
    const { live } = await replayed([
      ...[['RunPodSandbox', { config: pod }, { pod_sandbox_id: 'tape-pod' }] as const],
      created({ mounts, log_path: 'main/0.log' }, pod),
      ['ContainerStatus', { container_id: 'tape-container' }, { status: { id: 'tape-container' } }],
    ]);
    expect(live.calls[1]?.request).toMatchObject({
      config: { mounts },
      sandbox_config: { log_directory: '/var/log/web/' },
    });
    expect(live.calls[2]?.response?.status).toMatchObject({ mounts, log_path: '/var/log/web/main/0.log' });
  } finally {
    process.umask(umask);
  }
  expect(modes).toEqual([0o777, 0o777, 0o666]);
});
