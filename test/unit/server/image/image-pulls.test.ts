import { once } from 'node:events';
import { sharedAbortController } from '../../../../src/lib/async/deadline';
import { ImagePulls, PullProgress } from '../../../../src/server/image/image-pulls';
import type { EngineAuth, EngineProgress } from '../../../../src/engine/types';
import { parseReference } from '../../../../src/translate/image/reference';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate, settle, until } from '../../support/async';

it('at most four pulls at a time look for credentials of the node', async () => {
  const found = gate<undefined>();
  let looking = 0;
  const pulls = new ImagePulls({
    docker: fakeDocker({ pullImage: () => Promise.resolve() }),
    store: { engine: undefined },
    credentials: {
      find: () => {
        looking++;
        return found.promise;
      },
    },
    progressDeadlineMs: 0,
  });
  const { signal } = sharedAbortController();
  const all = Array.from({ length: 20 }, (_, index) =>
    pulls.pull(parseReference(`r.io/app:${index}`, 'image'), undefined, signal),
  );
  await settle();
  expect(looking).toBe(4);
  found.resolve(undefined);
  await Promise.all(all);
  expect(looking).toBe(20);
});

it('the deadline of a pull is the one in force when the pull begins', async () => {
  let ms = 60_000;
  const pulls = new ImagePulls({
    docker: fakeDocker({
      pullImage: (_name, _auth, _onProgress, options) =>
        once(options!.signal!, 'abort').then(() => options!.signal!.throwIfAborted()),
    }),
    store: { engine: undefined },
    credentials: { find: () => Promise.resolve(undefined) },
    progressDeadlineMs: () => ms,
  });
  ms = 50;
  const { signal } = sharedAbortController();
  await expect(pulls.pull(parseReference('r.io/app:1', 'image'), undefined, signal)).rejects.toThrow(
    /made no progress for 0\.\d+ s/,
  );
});

describe('simultaneous pulls of one image', () => {
  const ANN: EngineAuth = { username: 'ann', password: 'a' };
  const BOB: EngineAuth = { username: 'bob', password: 'b' };
  const reference = parseReference('r.io/app:1', 'image');
  const { signal } = sharedAbortController();

  /** The credentials that the Engine was given, with one entry per pull. */
  async function engineCalls(...requested: (EngineAuth | undefined)[]): Promise<(EngineAuth | undefined)[]> {
    const given: (EngineAuth | undefined)[] = [];
    const end = gate();
    const pulls = new ImagePulls({
      docker: fakeDocker({
        pullImage: (_name, auth) => {
          given.push(auth);
          return end.promise;
        },
      }),
      store: { engine: undefined },
      credentials: { find: () => Promise.resolve(undefined) },
      progressDeadlineMs: 0,
    });
    const all = requested.map((auth) => pulls.pull(reference, auth, signal));
    await until(() => given.length > 0);
    await settle();
    end.resolve();
    await Promise.all(all);
    return given;
  }

  it('share one Engine pull if their credentials are the same', async () => {
    expect(await engineCalls(ANN, { ...ANN }, { ...ANN })).toEqual([ANN]);
    expect(await engineCalls(undefined, undefined)).toEqual([undefined]);
  });

  it('are separate if their users or passwords differ, or if one has no credentials', async () => {
    const other = { ...ANN, password: 'b' };
    const given = await engineCalls(ANN, BOB, other, undefined);
    expect(given).toHaveLength(4);
    expect(given).toEqual(expect.arrayContaining([ANN, BOB, other, undefined]));
  });
});

const layer = (id: string, status: string, current?: number): EngineProgress => ({
  id,
  status,
  progressDetail: current === undefined ? {} : { current, total: 100 },
});

describe('PullProgress', () => {
  it('notices changed bytes and statuses in any layer, and ignores repetitions', () => {
    const progress = new PullProgress();
    const moves: [EngineProgress, boolean][] = [
      [{ id: '1', status: 'Pulling from app' }, true],
      [{ id: '1', status: 'Pulling from app' }, false],
      [layer('a', 'Pulling fs layer'), true],
      [layer('b', 'Waiting'), true],
      [layer('a', 'Downloading', 1), true],
      [layer('a', 'Downloading', 1), false],
      [layer('b', 'Waiting'), false],
      [layer('a', 'Downloading', 2), true],
      [layer('a', 'Retrying in 5 seconds'), true],
      [layer('a', 'Retrying in 4 seconds'), true],
      [{ status: 'Digest: sha256:d' }, true],
      [{ status: 'Digest: sha256:d' }, false],
      [{}, true],
    ];
    for (const [message, moved] of moves) expect([message, progress.note(message)]).toEqual([message, moved]);
  });

  it.each<{ desc: string; messages: EngineProgress[]; unpacking: boolean }>([
    { desc: 'no status has come', messages: [], unpacking: false },
    { desc: 'only the tag is known', messages: [layer('1', 'Pulling from app')], unpacking: false },
    {
      desc: 'a layer waits',
      messages: [layer('a', 'Extracting', 1), layer('b', 'Waiting')],
      unpacking: false,
    },
    {
      desc: 'a layer arrives while another is unpacked',
      messages: [layer('a', 'Extracting', 1), layer('b', 'Downloading', 1)],
      unpacking: false,
    },
    {
      desc: 'all layers have arrived and one is unpacked',
      messages: [
        layer('1', 'Pulling from app'),
        layer('a', 'Already exists'),
        layer('b', 'Extracting', 1),
        layer('c', 'Download complete'),
      ],
      unpacking: true,
    },
    {
      desc: 'all layers are complete',
      messages: [layer('a', 'Already exists'), layer('b', 'Pull complete')],
      unpacking: false,
    },
  ])('reports unpacking as $unpacking when $desc', ({ messages, unpacking }) => {
    const progress = new PullProgress();
    for (const message of messages) progress.note(message);
    expect(progress.isUnpacking).toBe(unpacking);
  });

  it('describes the progress', () => {
    const progress = new PullProgress();
    expect(progress.describe()).toBe('no layer had begun');
    for (const message of [layer('a', 'Pull complete'), layer('b', 'Downloading', 5)]) progress.note(message);
    expect(progress.describe()).toBe('layers complete: 1 of 2');
  });
});
