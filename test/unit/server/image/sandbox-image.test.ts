import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { DockerClient } from '../../../../src/docker/client';
import { notFound } from '../../../../src/lib/errors';
import { loggerInto, silentLogger, thresholdOf } from '../../../../src/lib/logger';
import { SandboxImage, type SandboxImageParts } from '../../../../src/server/image/sandbox-image';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate } from '../../support/async';
import { rejectionOf } from '../../support/errors';
import { imageRecord } from '../../support/records';

const OWN = 'dockbridge.local/pause:1';
const { signal } = new AbortController();

let directory: string;
let pauseTar: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
  pauseTar = join(directory, 'pause.tar');
  await writeFile(pauseTar, 'a root file system');
});
afterEach(() => rm(directory, { recursive: true }));

/** Returns the sandbox image of a node that cannot pull. */
function offline(importImage: DockerClient['importImage'], tar = pauseTar, logger = silentLogger) {
  const store = new WritableStore();
  const parts = {
    docker: fakeDocker({ importImage }),
    store,
    imageSync: { refresh: (name: string) => Promise.resolve(store.images.byName(name)) },
    imagePulls: { pull: () => Promise.reject(notFound('no such image')) },
    logger,
    configured: 'registry.test/pause:3',
    pauseTar: tar,
  };
  return { store, image: new SandboxImage(parts as unknown as SandboxImageParts) };
}

describe('the sandbox image', () => {
  it('is our own if the configured one cannot be pulled, and is made once for all waiting pods', async () => {
    const imported: string[] = [];
    const { image } = offline(async (tar, name) => {
      imported.push(`${name} ${await text(tar)}`);
    });
    expect(await Promise.all([image.ensure(signal), image.ensure(signal)])).toEqual([OWN, OWN]);
    expect(imported).toEqual([`${OWN} a root file system`]);
  });

  it('is announced in the log before its pull, because the pull may use its whole time limit', async () => {
    const lines: unknown[] = [];
    const logger = loggerInto(
      (level, message, fields) => lines.push([level, message(), fields()]),
      thresholdOf('info'),
    );
    const { image } = offline(() => Promise.resolve(), pauseTar, logger);
    await Promise.all([image.ensure(signal), image.ensure(signal)]);
    expect(lines).toEqual([
      [
        'info',
        'Pulling the sandbox image; if no registry gives it in time, the pause image of dockbridge is imported',
        { image: 'registry.test/pause:3', limitMs: 30_000 },
      ],
      ['warn', expect.stringContaining('Cannot pull'), expect.anything()],
    ]);
  });

  it('costs no call once it is on the node', async () => {
    const { image, store } = offline(() => Promise.reject(new Error('not to be asked')));
    store.images.put(imageRecord({ repoTags: ['registry.test/pause:3'] }));
    expect(await image.ensure(signal)).toBe('registry.test/pause:3');
  });

  it('is not imported when our own file is missing, and the error names the file', async () => {
    const importImage = jest.fn();
    const { image } = offline(importImage, join(directory, 'absent.tar'));
    expect(await rejectionOf(image.ensure(signal))).toMatch(
      /^FAILED_PRECONDITION no sandbox image: .*absent\.tar cannot be imported: .*ENOENT/,
    );
    expect(importImage).not.toHaveBeenCalled();
  });

  it('fails after a time limit when the Engine never answers, and the next pod tries again', async () => {
    const asked = gate();
    let hangs = true;
    const { image } = offline((_tar, _name, _changes, options) => {
      if (!hangs) return Promise.resolve();
      asked.resolve();
      return new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error));
      });
    });
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] });
    try {
      const refused = rejectionOf(image.ensure(signal));
      await asked.promise;
      jest.advanceTimersByTime(60_000);
      expect(await refused).toMatch(/^FAILED_PRECONDITION no sandbox image: .* took longer than/);
    } finally {
      jest.useRealTimers();
    }
    hangs = false;
    expect(await image.ensure(signal)).toBe(OWN);
  });
});
