import { crioNeeds, decideForCrio, type CrioDecision } from '../../../../src/migrate/images/crio';
import { crioStorage } from '../../../../src/migrate/images/crio-storage';
import { manifestOf } from '../../../../src/migrate/images/manifest';
import { digestOfId } from '../../../../src/migrate/images/target';
import { MemoryStore, sha256 } from './memory-store';

const PLATFORM = { os: 'linux', architecture: 'amd64' };
const CONFIG = 'configuration';
const overlay = { version: '28', platform: PLATFORM, rootDir: '/docker', containerd: undefined };
const containerd = { ...overlay, containerd: { endpoint: undefined, namespace: 'moby' } };
const EMPTY = { criImage: () => Promise.resolve(undefined) };

function image(id: string, tags = ['a.test/a:1'], size = 100) {
  return { id, tags, digests: [`a.test/a@${sha256('a')}`], size, why: 'pod web' };
}

describe('decideForCrio', () => {
  it("expects the Engine's id of an image in its own store", async () => {
    const decision = await decideForCrio(image(sha256(CONFIG)), overlay, undefined, EMPTY);
    expect(decision).toMatchObject({ how: 'skopeo', why: 'pod web', configDigest: sha256(CONFIG) });
  });

  it("expects the digest of the configuration when the Engine's id is that of a manifest", async () => {
    const content = new MemoryStore();
    const layer = { digest: content.add('layer'), size: 5 };
    const { bytes } = manifestOf({ digest: content.add(CONFIG), size: CONFIG.length }, [layer]);
    const decision = await decideForCrio(image(content.add(bytes)), containerd, content, EMPTY);
    expect(decision).toMatchObject({ how: 'skopeo', configDigest: sha256(CONFIG) });
  });

  it("expects no digest when no socket leads to the Engine's containerd", async () => {
    const decision = await decideForCrio(image(sha256('index')), containerd, undefined, EMPTY);
    expect(decision).toMatchObject({ how: 'skopeo', configDigest: undefined });
  });

  it('leaves an image that CRI-O has under all its names', async () => {
    const target = { criImage: () => Promise.resolve(sha256(CONFIG)) };
    expect(await decideForCrio(image(sha256(CONFIG)), overlay, undefined, target)).toMatchObject({
      how: 'present',
    });
  });

  it('skips an image without a tag, with the reason', async () => {
    const decision = await decideForCrio(image(sha256(CONFIG), []), overlay, undefined, EMPTY);
    expect([decision.how, decision.why]).toEqual(['skip', expect.stringContaining('pulls it again')]);
  });
});

describe('digestOfId', () => {
  it("makes CRI-O's bare ids comparable", () => {
    const digest = sha256(CONFIG);
    expect(digestOfId(digest.slice('sha256:'.length))).toBe(digest);
    expect(digestOfId(digest)).toBe(digest);
  });
});

describe('crioStorage', () => {
  it('reads driver and root from the directory that CRI-O reports', () => {
    const directory = '/mnt/disk/containers/storage/overlay-images';
    const storage = { driver: 'overlay', root: '/mnt/disk/containers/storage' };
    expect(crioStorage(directory, directory)).toEqual(storage);
    expect(crioStorage(directory, '')).toEqual(storage);
  });

  it.each([
    ['/images/overlay-images', '/var/lib/containers/storage/overlay-containers'],
    ['/var/lib/other', ''],
    ['', ''],
  ])('does not guess from %j and %j', (images, containers) => {
    expect(crioStorage(images, containers)).toBeUndefined();
  });
});

describe('crioNeeds', () => {
  const decision = (how: CrioDecision['how'], size: number): CrioDecision => ({
    ...{ image: image('sha256:1', ['a:1'], size), how, why: '' },
  });
  const storage = { driver: 'overlay', root: '/storage' };
  const decisions = [decision('skopeo', 100), decision('skopeo', 200), decision('present', 1000)];

  it('asks for space for all images on the storage, and for the largest one where archives are written', () => {
    expect(crioNeeds(decisions, storage, overlay, undefined)).toEqual([
      { path: '/storage', bytes: 360, what: 'the images' },
      { path: '/docker', bytes: 200, what: "the Engine's archive" },
      { path: '/var/tmp', bytes: 200, what: "skopeo's copy of the archive" },
    ]);
  });

  it('counts shared layers only once if the Engine reports the size of all layers', () => {
    expect(crioNeeds(decisions, storage, overlay, 250)[0]).toMatchObject({ path: '/storage', bytes: 300 });
  });

  it('asks for no space on a storage that is unknown', () => {
    expect(crioNeeds(decisions, undefined, overlay, 250).map(({ path }) => path)).toEqual([
      '/docker',
      '/var/tmp',
    ]);
  });
});
