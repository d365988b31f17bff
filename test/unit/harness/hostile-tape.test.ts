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

/** Replays a tape that somebody wrote by hand. */
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

it('raw bytes in a tape replace nothing that was checked: they are left out, and this is told', async () => {
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
  expect(notes).toContain('not replayed: fields that this version does not know, of 3 requests of the tape');
  // What was left out is no difference.
  expect(JSON.stringify([live, recorded])).not.toContain('@unknown');
});
