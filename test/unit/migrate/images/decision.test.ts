import type { Chain } from '../../../../src/migrate/images/chain';
import { decide, type Deciding } from '../../../../src/migrate/images/decision';
import { manifestOf } from '../../../../src/migrate/images/manifest';
import { MemoryStore, sha256 } from './memory-store';

const PLATFORM = { os: 'linux', architecture: 'amd64' };
const LAYERS = ['base', 'top'];
const CONFIG = 'configuration';
const overlay = { version: '28', platform: PLATFORM, rootDir: '/', containerd: undefined };
const containerd = { ...overlay, containerd: { endpoint: undefined, namespace: 'moby' } };

function image(id: string, tags = ['docker.io/library/a:1'], digests: string[] = []) {
  return { id, tags, digests, size: 100, why: 'pod web' };
}

function chain(top: string, configDigest: string): Chain {
  return { top: { digest: top, size: 1, mediaType: '' }, documents: [], blobs: [], configDigest };
}

function deciding(changes: Partial<Deciding>, records: Record<string, Chain> = {}): Deciding {
  return {
    engine: { diffIds: () => Promise.resolve(LAYERS.map(sha256)) },
    kind: overlay,
    contents: [],
    ...changes,
    target: {
      record: (name) => Promise.resolve(records[name]?.top.digest),
      ...{ content: new MemoryStore() as never, ...changes.target },
      image: (name) => Promise.resolve(records[name]),
    },
  };
}

function pulled(): { store: MemoryStore; id: string } {
  const store = new MemoryStore();
  const layers = LAYERS.map((layer) => ({ digest: store.add(layer), size: layer.length }));
  const manifest = manifestOf({ digest: store.add(CONFIG), size: CONFIG.length }, layers);
  return { store, id: store.add(manifest.bytes) };
}

describe('decide', () => {
  it("saves an image of the Engine's own store, without the layers that the target has", async () => {
    const content = new MemoryStore();
    content.add('base');
    const found = await decide(
      image(sha256(CONFIG)),
      deciding({ target: { content } as unknown as Deciding['target'] }),
    );
    expect(found).toMatchObject({ how: 'save', bytes: 96, names: ['docker.io/library/a:1'] });
  });

  it.each([
    ['present', ['a:1', 'a:2'], { 'a:1': chain('x', 'id'), 'a:2': chain('y', 'id') }],
    ['name', ['a:1', 'a:2'], { 'a:1': chain('x', 'id'), 'a:2': chain('y', 'other') }],
    ['save', ['a:1'], { 'a:1': chain('x', 'other') }],
  ])('decides "%s", depending on the names that the target has', async (how, tags, records) => {
    expect((await decide(image('id', tags), deciding({}, records))).how).toBe(how);
  });

  it("skips an image that was pulled by its digest into the Engine's own store", async () => {
    expect((await decide(image('id', [], ['a@sha256:1']), deciding({}))).how).toBe('skip');
  });

  it('shares an image of the same containerd, with the digest that leads to it', async () => {
    const { store, id } = pulled();
    const contents = [{ content: store, isTarget: true }];
    const missing = [CONFIG, ...LAYERS].map((blob) => ({ digest: sha256(blob) }));
    const found = await decide(
      image(id, ['a:1'], [`a@${id}`, `a@${sha256('older')}`]),
      deciding({ kind: containerd, contents }),
    );
    expect(found).toMatchObject({ how: 'share', bytes: 0, missing, names: ['a:1', `a@${id}`] });
  });

  it('copies from another containerd what the target lacks', async () => {
    const { store, id } = pulled();
    const content = new MemoryStore();
    content.add('base');
    const contents = [
      { content: new MemoryStore(), isTarget: true },
      { content: store, isTarget: false },
    ];
    const found = await decide(
      image(id),
      deciding({ kind: containerd, contents, target: { content } as unknown as Deciding['target'] }),
    );
    expect(found).toMatchObject({ how: 'copy', bytes: CONFIG.length + 'top'.length });
  });

  it("saves an image when no socket leads to the Engine's containerd", async () => {
    expect((await decide(image('id'), deciding({ kind: containerd }))).how).toBe('save');
  });
});
