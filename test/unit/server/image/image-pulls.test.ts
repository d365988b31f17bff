import { sharedAbortController } from '../../../../src/lib/deadline';
import { ImagePulls } from '../../../../src/server/image/image-pulls';
import { parseReference } from '../../../../src/translate/reference';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate, settle } from '../../support/async';

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
