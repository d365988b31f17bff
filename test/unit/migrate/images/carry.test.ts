import { KeyedLock } from '../../../../src/lib/async/keyed-lock';
import { carryArchive, carryChain, carrySaved, type Carrying } from '../../../../src/migrate/images/carry';
import { resolveChain } from '../../../../src/migrate/images/chain';
import { manifestOf } from '../../../../src/migrate/images/manifest';
import { chainIds } from '../../../../src/migrate/images/saved-layers';
import { chunked, MemoryStore, sha256, tarOf } from './memory-store';

const PLATFORM = { os: 'linux', architecture: 'amd64' };
const LAYERS = ['base '.repeat(1000), 'middle '.repeat(1000), 'top '.repeat(1000)];
const DIFF_IDS = LAYERS.map(sha256);
const CONFIG = JSON.stringify({
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: DIFF_IDS },
});
const IMAGE = { id: sha256(CONFIG), diffIds: DIFF_IDS };
const hex = (digest: string): string => digest.slice('sha256:'.length);

/** The archive of an Engine from 25 on. */
const NEW_ARCHIVE = tarOf([
  ...[CONFIG, ...LAYERS].map((blob) => [`blobs/sha256/${hex(sha256(blob))}`, blob] as const),
  ['manifest.json', '[]'],
]);

/** The archive of an older Engine, which names a directory for each layer. */
function oldArchive(): Buffer {
  const chain = chainIds(DIFF_IDS);
  let parent: string | undefined;
  const directories = LAYERS.map((layer, at) => {
    const config = {
      created: '1970-01-01T00:00:00Z',
      ...(at === 2 ? { config: { Labels: { a: '<&>' } } } : {}),
    };
    const named = { ...config, layer_id: chain[at], ...(parent && { parent: `sha256:${parent}` }) };
    const sorted = Object.fromEntries(Object.entries(named).sort(([one], [other]) => (one < other ? -1 : 1)));
    const json = JSON.stringify(sorted).replace('<&>', '\\u003c\\u0026\\u003e');
    const name = hex(sha256(json));
    const file = JSON.stringify({ id: name, ...(parent && { parent }), ...config, os: 'linux' });
    parent = name;
    return [
      [`${name}/VERSION`, '1.0'],
      [`${name}/json`, file],
      [`${name}/layer.tar`, layer],
    ] as const;
  });
  const [base = [], middle = [], top = []] = directories;
  // The Engine sorts by name, so a layer may precede the one below it.
  return tarOf([...middle, ...base, [`${hex(IMAGE.id)}.json`, CONFIG], ...top, ['manifest.json', '[]']]);
}

function carrying(target: MemoryStore): Carrying & { bytes: number[] } {
  const bytes: number[] = [];
  const shared = { locks: new KeyedLock(), learned: new Map() };
  return { target, bytes, ...shared, onBytes: (count) => bytes.push(count) };
}

const TOTAL = [CONFIG, ...LAYERS].reduce((sum, { length }) => sum + length, 0);

describe('carrySaved', () => {
  it.each([
    ['new', () => NEW_ARCHIVE],
    ['old', oldArchive],
  ])('carries configuration and layers of the %s archive, and makes a manifest', async (_, archive) => {
    const target = new MemoryStore();
    const manifest = await carrySaved(
      IMAGE,
      () => Promise.resolve(chunked(archive(), 1000)),
      carrying(target),
    );
    for (const blob of [CONFIG, ...LAYERS]) expect(target.blobs.get(sha256(blob))?.toString()).toBe(blob);
    // Every upload had its digest from the beginning.
    expect(target.opened.map(([ref]) => ref).filter((ref) => !ref.startsWith('sha256:'))).toEqual([]);
    expect(JSON.parse(target.blobs.get(manifest.descriptor.digest)!.toString())).toMatchObject({
      config: { digest: IMAGE.id, size: CONFIG.length },
      layers: DIFF_IDS.map((digest, at) => ({ digest, size: LAYERS[at]!.length })),
    });
    expect(target.labels.get(manifest.descriptor.digest)).toEqual({
      'containerd.io/gc.ref.content.config': IMAGE.id,
      'containerd.io/gc.ref.content.l.0': DIFF_IDS[0],
      'containerd.io/gc.ref.content.l.1': DIFF_IDS[1],
      'containerd.io/gc.ref.content.l.2': DIFF_IDS[2],
    });
  });

  it('asks for no archive when all blobs are there', async () => {
    const target = new MemoryStore();
    for (const blob of [CONFIG, ...LAYERS]) target.add(blob);
    const openArchive = jest.fn();
    const manifest = await carrySaved(IMAGE, openArchive, carrying(target));
    expect(openArchive).not.toHaveBeenCalled();
    expect(target.blobs.has(manifest.descriptor.digest)).toBe(true);
  });

  it('writes only what is missing, and continues an upload that was cut off', async () => {
    const target = new MemoryStore();
    target.add(LAYERS[0]!);
    target.uploads.set(DIFF_IDS[1]!, Buffer.from(LAYERS[1]!.slice(0, 3000)));
    const all = carrying(target);
    const manifest = await carrySaved(IMAGE, () => Promise.resolve(chunked(oldArchive(), 700)), all);
    expect(target.opened).toContainEqual([DIFF_IDS[1], 3000]);
    const moved = all.bytes.reduce((sum, count) => sum + count, 0);
    expect(moved).toBe(TOTAL - LAYERS[0]!.length - 3000 + manifest.bytes.length);
  });

  it('stops reading after the last missing blob', async () => {
    const target = new MemoryStore();
    for (const blob of LAYERS) target.add(blob);
    let read = 0;
    let isClosed = false;
    const archive = async function* (): AsyncGenerator<Buffer> {
      try {
        for await (const chunk of chunked(NEW_ARCHIVE, 512)) {
          read += chunk.length;
          yield chunk;
        }
      } finally {
        isClosed = true;
      }
    };
    await carrySaved(IMAGE, () => Promise.resolve(archive()), carrying(target));
    expect({ read, isClosed }).toEqual({ read: 1024, isClosed: true });
  });

  describe('with an archive whose directories cannot be recognised', () => {
    const directory = (at: number): string => `${'f'.repeat(63)}${at}`;
    const archive = tarOf([
      [`${hex(IMAGE.id)}.json`, CONFIG],
      ...LAYERS.map((layer, at) => [`${directory(at)}/layer.tar`, layer] as const),
    ]);
    const carry = (all: Carrying): Promise<unknown> =>
      carrySaved(IMAGE, () => Promise.resolve(chunked(archive, 5000)), all);

    it('writes each layer, and learns its digest from the store', async () => {
      const target = new MemoryStore();
      await carry(carrying(target));
      expect(target.opened.map(([ref]) => ref)).toContain(`entry-${directory(2)}`);
      expect(target.blobs.has(DIFF_IDS[2]!)).toBe(true);
    });

    it('holds a layer that the target has already', async () => {
      const target = new MemoryStore();
      target.add(LAYERS[0]!);
      const before = target.held.length;
      await carry(carrying(target));
      expect(target.held.slice(before).filter((digest) => digest === DIFF_IDS[0])).toHaveLength(2);
      expect(target.blobs.has(DIFF_IDS[2]!)).toBe(true);
    });

    it('continues an upload whose layer the target has received in the meantime', async () => {
      const target = new MemoryStore();
      target.add(LAYERS[0]!);
      target.uploads.set(`entry-${directory(0)}`, Buffer.from(LAYERS[0]!.slice(0, 3000)));
      await carry(carrying(target));
      expect(target.opened).toContainEqual([`entry-${directory(0)}`, 3000]);
      expect(target.uploads.size).toBe(0);
    });

    it('writes a shared layer only once for two images', async () => {
      const target = new MemoryStore();
      const all = carrying(target);
      await Promise.all([carry(all), carry(all)]);
      expect(target.opened.filter(([ref]) => ref === `entry-${directory(0)}`)).toHaveLength(1);
    });
  });

  it('reports a layer that the archive lacks', async () => {
    const archive = tarOf([[`${hex(IMAGE.id)}.json`, CONFIG]]);
    await expect(
      carrySaved(IMAGE, () => Promise.resolve(chunked(archive, 512)), carrying(new MemoryStore())),
    ).rejects.toThrow(`lacks ${DIFF_IDS[0]!}`);
  });

  it('writes a shared layer only once for two images', async () => {
    const target = new MemoryStore();
    const all = carrying(target);
    await Promise.all(
      [1, 2].map(() => carrySaved(IMAGE, () => Promise.resolve(chunked(NEW_ARCHIVE, 512)), all)),
    );
    expect(target.opened.filter(([ref]) => ref === DIFF_IDS[0])).toHaveLength(1);
  });
});

/** An image of two platforms of which the source has one, as after a pull. */
function pulled(store: MemoryStore): { index: string; manifest: string } {
  const config = store.add(CONFIG);
  const layers = LAYERS.map((layer) => ({ digest: store.add(layer), size: layer.length }));
  const document = manifestOf({ digest: config, size: CONFIG.length }, layers);
  const manifest = store.add(document.bytes);
  const { mediaType, size } = document.descriptor;
  const index = store.add(
    JSON.stringify({
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        { mediaType, size: 1, digest: sha256('arm'), platform: { os: 'linux', architecture: 'arm64' } },
        { mediaType, size: 1, digest: sha256('proof'), platform: { os: 'unknown', architecture: 'unknown' } },
        { mediaType, size, digest: manifest, platform: PLATFORM },
      ],
    }),
  );
  return { index, manifest };
}

describe('carryChain', () => {
  it("carries this platform's manifest below its index, with labels", async () => {
    const source = new MemoryStore();
    const { index, manifest } = pulled(source);
    const target = new MemoryStore();
    const chain = await resolveChain(source, index, PLATFORM);
    await carryChain(chain, source, carrying(target));
    expect([...target.blobs.keys()].sort()).toEqual([...source.blobs.keys()].sort());
    expect(chain).toMatchObject({ top: { digest: index }, configDigest: IMAGE.id });
    expect(Object.values(target.labels.get(index) ?? {})).toEqual([manifest]);
    expect(target.labels.get(manifest)).toMatchObject({ 'containerd.io/gc.ref.content.config': IMAGE.id });
  });

  it("keeps another client's labels of the same index", async () => {
    const source = new MemoryStore();
    const { index, manifest } = pulled(source);
    const target = new MemoryStore();
    const others = { 'containerd.io/gc.ref.content.m.0': sha256('arm') };
    target.labels.set(index, others);
    await carryChain(await resolveChain(source, index, PLATFORM), source, carrying(target));
    expect(target.labels.get(index)).toMatchObject(others);
    expect(Object.values(target.labels.get(index)!)).toEqual([sha256('arm'), manifest]);
  });

  it('moves no bytes between two namespaces of one store', async () => {
    const source = new MemoryStore();
    const { index } = pulled(source);
    const target = new MemoryStore(source);
    await carryChain(await resolveChain(source, index, PLATFORM), source, carrying(target));
    expect([target.written, target.blobs.size]).toEqual([0, source.blobs.size]);
  });
});

describe('resolveChain', () => {
  it('names the platform that an image lacks', async () => {
    const source = new MemoryStore();
    const { index } = pulled(source);
    await expect(resolveChain(source, index, { os: 'linux', architecture: 'riscv64' })).rejects.toThrow(
      'no image for linux/riscv64',
    );
  });
});

describe('carryArchive', () => {
  it('carries an index from the archive of an Engine with the containerd store', async () => {
    const source = new MemoryStore();
    const { index } = pulled(source);
    const archive = tarOf([...source.blobs].map(([digest, bytes]) => [`blobs/sha256/${hex(digest)}`, bytes]));
    const target = new MemoryStore();
    const chain = await carryArchive(
      index,
      PLATFORM,
      () => Promise.resolve(chunked(archive, 900)),
      carrying(target),
    );
    expect([chain.configDigest, target.blobs.size]).toEqual([IMAGE.id, source.blobs.size]);
  });
});
