import { silentLogger } from '../../../../src/lib/logger';
import { pullImage } from '../../../../src/server/image/pull-image';
import type { Services } from '../../../../src/server/services';
import type { EngineFacts } from '../../../../src/store/records';
import { WritableStore } from '../../../../src/store/store';
import { toFacts } from '../../../../src/translate/shared/engine-facts';
import { rejectionOf } from '../../support/errors';
import { engineId, imageRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const { signal } = new AbortController();

function factsWith(runtimes: readonly string[]): EngineFacts {
  return toFacts(
    { Version: '20.10.24', ApiVersion: '1.41', Os: 'linux', Arch: 'amd64' },
    {
      DockerRootDir: '/var/lib/docker',
      CgroupDriver: 'systemd',
      Driver: 'overlay2',
      DefaultRuntime: 'runc',
      OperatingSystem: 'Debian',
      KernelVersion: '6.1.0-13-amd64',
      Runtimes: Object.fromEntries(runtimes.map((name) => [name, {}])),
    },
  );
}

/**
 * Pulls an image for pods of the runtime `late`, on an Engine with the runtimes `now`. dockbridge knows
 * only `runc`.
 */
async function pullWhere(now: readonly string[]): Promise<{ answer: string; asked: number }> {
  const store = new WritableStore();
  store.engine = factsWith(['runc']);
  const image = imageRecord({ id: `sha256:${engineId('a')}` });
  let asked = 0;
  const services: Partial<Services> = {
    store,
    logger: silentLogger,
    link: {
      readFactsAgain: () => {
        asked++;
        store.engine = factsWith(now);
        return Promise.resolve();
      },
    } as unknown as Services['link'],
    imagePulls: { pull: () => Promise.resolve() } as unknown as Services['imagePulls'],
    imageSync: { refresh: () => Promise.resolve(image) } as unknown as Services['imageSync'],
  };
  const request = decoded('PullImageRequest', { image: { image: 'app:1', runtime_handler: 'late' } });
  const pulled = pullImage(services as Services, request, { signal });
  const answer = now.includes('late') ? (await pulled).image_ref! : await rejectionOf(pulled);
  return { answer, asked };
}

describe('PullImage for an unknown runtime', () => {
  it('asks the Engine once more, because dockbridge may have missed a reload of daemon.json', async () => {
    expect(await pullWhere(['late', 'runc'])).toEqual({ answer: `sha256:${engineId('a')}`, asked: 1 });
  });

  it('fails when the Engine does not know the runtime either', async () => {
    expect(await pullWhere(['runc'])).toEqual({
      answer: expect.stringMatching(
        /^INVALID_ARGUMENT image\.runtime_handler: "late" is not among/,
      ) as string,
      asked: 1,
    });
  });
});
