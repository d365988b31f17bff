import { cri } from '../../../../src/proto';
import { imageFsInfo } from '../../../../src/server/image/image-fs-info';
import { listImages, streamImages } from '../../../../src/server/image/list-images';
import type { Services } from '../../../../src/server/services';
import type { EngineFacts } from '../../../../src/store/records';
import { WritableStore } from '../../../../src/store/store';
import { toCriImage } from '../../../../src/translate/image/image';
import { rejectionOf } from '../../support/errors';
import { containerRecord, engineId, imageRecord, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const id = (start: string): string => `sha256:${engineId(start)}`;
const app = imageRecord({ id: id('1'), repoTags: ['app:2', 'app:1'], repoDigests: [], size: 10 });
const tool = imageRecord({ id: id('2'), repoTags: ['app-tool:1'], repoDigests: [], size: 200 });
const own = imageRecord({ id: id('3'), repoTags: ['reg.io:5000/app:9'], repoDigests: [], size: 3_000 });
const pause = imageRecord({ id: id('9'), repoTags: ['pause:1'], repoDigests: [], size: 40_000 });
const all = [app, tool, own, pause];

let store: WritableStore;
let services: Services;
beforeEach(() => {
  store = new WritableStore();
  for (const image of all) store.images.put(image);
  services = {
    store,
    sandboxImage: { isPinned: ({ repoTags }: { repoTags: string[] }) => repoTags.includes('pause:1') },
    link: { state: { ready: true } },
    settings: { localEngine: true },
    usedInodes: { of: (path: string) => Promise.resolve(path.length) },
  } as unknown as Services;
});

describe('ListImages', () => {
  const list = async (image?: string) =>
    (
      await listImages(
        services,
        decoded('ListImagesRequest', image === undefined ? {} : { filter: { image: { image } } }),
      )
    ).images;
  const names = async (image: string) => (await list(image))?.map(({ repo_tags }) => repo_tags?.[0]);

  it('returns all images, and marks as pinned those whose use kubelet does not know', async () => {
    store.sandboxes.put(sandboxRecord({ imageId: own.id }));
    expect(await list()).toEqual([
      toCriImage(app, false),
      toCriImage(tool, false),
      toCriImage(own, true),
      toCriImage(pause, true),
    ]);
    expect(await list('')).toHaveLength(4);
  });

  it('returns the name by which pods asked for an image', async () => {
    store.containers.put(containerRecord({ image: 'app:1', userSpecifiedImage: 'app:1', imageId: app.id }));
    expect((await list())?.map(({ spec }) => spec?.image)).toEqual([
      'app:1',
      'app-tool:1',
      'reg.io:5000/app:9',
      'pause:1',
    ]);
  });

  it('returns the alphabetically first of the names by which pods asked, whoever asked last', async () => {
    for (const [at, image] of ['app:b', 'app:a', 'app:c'].entries()) {
      const names = { image, userSpecifiedImage: image, imageId: app.id };
      store.containers.put(containerRecord({ id: engineId(`c${at}`), engineName: image, ...names }));
    }
    expect((await list('app:1'))?.[0]?.spec?.image).toBe('app:a');
  });

  it.each([
    ['app:1', ['app:2']],
    ['app:7', []],
    ['app', ['app:2']],
    ['docker.io/library/app', ['app:2']],
    ['reg.io:5000/app', ['reg.io:5000/app:9']],
    ['none', []],
    [tool.id, ['app-tool:1']],
    [tool.id.slice(7, 30), ['app-tool:1']],
  ])('finds for the filter %s the images whose first tags are %j', async (asked, found) =>
    expect(await names(asked)).toEqual(found),
  );

  it('finds for a repository without a tag the image tagged `latest` and the other images of the repository, each once', async () => {
    const latest = imageRecord({ id: id('4'), repoTags: ['app:latest', 'app:4'], repoDigests: [] });
    store.images.put(latest);
    expect(await names('app')).toEqual(['app:latest', 'app:2']);
  });

  it('has a streaming form, StreamImages, which filters the same', () => {
    const request = decoded('StreamImagesRequest', { filter: { image: { image: 'app:1' } } });
    const messages = [...streamImages(services, request)].map((bytes) =>
      cri.StreamImagesResponse.decode(bytes),
    );
    expect(messages.flatMap(({ images }) => images.map((image) => image.id))).toEqual([app.id]);
  });
});

describe('ImageFsInfo', () => {
  const info = async () => {
    const { image_filesystems, container_filesystems } = await imageFsInfo(services);
    const plain = [...(image_filesystems ?? []), ...(container_filesystems ?? [])].map(
      ({ timestamp, ...rest }) => {
        expect(Math.abs(Number(timestamp) / 1e6 - Date.now())).toBeLessThan(60_000);
        return rest;
      },
    );
    expect([image_filesystems?.length, container_filesystems?.length]).toEqual([1, 1]);
    return plain;
  };
  beforeEach(() => (store.engine = { imageDirectory: '/data/docker' } as EngineFacts));

  it('returns the measured sizes, and the inodes in use', async () => {
    store.diskUsage = { imageBytes: 11, containerBytes: 22 };
    const shared = { fs_id: { mountpoint: '/data/docker' }, inodes_used: { value: 12 } };
    expect(await info()).toEqual([
      { ...shared, used_bytes: { value: 11 } },
      { ...shared, used_bytes: { value: 22 } },
    ]);
  });

  it('returns an upper bound for images before the measurement, and no inodes for a remote Engine', async () => {
    services = { ...services, settings: { ...services.settings, localEngine: false } };
    const shared = { fs_id: { mountpoint: '/data/docker' } };
    const bound = { ...shared, used_bytes: { value: 43_210 } };
    expect(await info()).toEqual([bound, { ...shared, used_bytes: { value: 0 } }]);
    store.diskUsage = { imageBytes: undefined, containerBytes: 22 };
    expect(await info()).toEqual([bound, { ...shared, used_bytes: { value: 22 } }]);
  });

  it('omits inodes that cannot be counted, and is unavailable before the Engine has answered', async () => {
    services = { ...services, usedInodes: { of: () => Promise.resolve(undefined) } as never };
    for (const usage of await info()) expect(usage).not.toHaveProperty('inodes_used');
    store.engine = undefined;
    expect(await rejectionOf(imageFsInfo(services))).toMatch(/^UNAVAILABLE /);
  });
});
