import fs from 'node:fs/promises';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { readRecorded } from '../../../src/harness/drive/recorded';
import { replay, type Replayed } from '../../../src/harness/drive/replay';
import { FakeCri, Refusal } from './support/fake-cri';
import { podOf, recorded, walk } from './support/replay-walk';

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

async function replayed(tape: string): Promise<Replayed> {
  return replay(tape, await readRecorded(tape), {
    ...{ to: b.endpoint, speed: 'max', images: new Map(), waitMs: 500 },
    ...{ scratch: join(b.directory, 'scratch'), signal: new AbortController().signal },
  });
}

it('the replay does not remove a pod of the same identity that another client makes in the meantime', async () => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  b.onCall = ({ method }) => {
    if (method === 'ExecSync')
      b.pods.set('theirs', { id: 'theirs', config: podOf('web'), state: 'SANDBOX_READY' });
  };
  const { left } = await replayed(tape);
  expect(left).toEqual([]);
  expect([...b.pods.values()]).toEqual([expect.objectContaining({ id: 'theirs', state: 'SANDBOX_READY' })]);
});

it.each([
  ['lost, the replay removes its pod', grpc.status.UNAVAILABLE, 0],
  ['a refusal, the replay reports an existing pod and leaves it', grpc.status.UNKNOWN, 1],
])('when the answer to RunPodSandbox is %s', async (_, code, pods) => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  b.spoil = ({ method }, answer) => {
    if (method === 'RunPodSandbox') throw new Refusal(code, 'spoilt');
    return answer;
  };
  const { left } = await replayed(tape);
  expect([...b.pods]).toHaveLength(pods);
  expect(left).toEqual(
    [...b.pods.keys()].map(
      (id) =>
        `pod test/web (${id}), which may be another client's, because RunPodSandbox failed with UNKNOWN`,
    ),
  );
});

it('the replay reports a scratch directory that cannot be removed', async () => {
  const tape = await recorded(a, async (call) => walk(call, 'web'));
  const remove = jest.spyOn(fs, 'rm').mockRejectedValueOnce(new Error('EBUSY'));
  try {
    const { left } = await replayed(tape);
    expect(left).toEqual([expect.stringMatching(/^the directory .*\/scratch\/dockbridge-cri-\w+: EBUSY$/)]);
  } finally {
    remove.mockRestore();
  }
});
