import { once } from 'node:events';
import { sharedAbortController } from '../../../../src/lib/async/deadline';
import { ImagePulls } from '../../../../src/server/image/image-pulls';
import type { EngineAuth } from '../../../../src/engine/types';
import { parseReference } from '../../../../src/translate/image/reference';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate, settle, until } from '../../support/async';

it('few pulls at a time look for credentials of the node', async () => {
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

it('the deadline of a pull is the one of the moment', async () => {
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
    'no byte and no status moved for 0.05 s',
  );
});

describe('pulls of one image at the same time', () => {
  const ANN: EngineAuth = { username: 'ann', password: 'a' };
  const BOB: EngineAuth = { username: 'bob', password: 'b' };
  const reference = parseReference('r.io/app:1', 'image');
  const { signal } = sharedAbortController();

  /** Which credentials the Engine was given, one entry a pull of its. */
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

  it('are one for the Engine where their credentials are the same', async () => {
    expect(await engineCalls(ANN, { ...ANN }, { ...ANN })).toEqual([ANN]);
    expect(await engineCalls(undefined, undefined)).toEqual([undefined]);
  });

  it('have each their own where another password, user or none was given', async () => {
    const other = { ...ANN, password: 'b' };
    const given = await engineCalls(ANN, BOB, other, undefined);
    expect(given).toHaveLength(4);
    expect(given).toEqual(expect.arrayContaining([ANN, BOB, other, undefined]));
  });
});
