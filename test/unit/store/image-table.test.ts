import { ImageTable } from '../../../src/store/image-table';
import { engineId, imageRecord } from '../support/records';

const ID = { a: `sha256:${engineId('aa1')}`, b: `sha256:${engineId('aa2')}` };
const image = (id: string, repoTags: string[], repoDigests: string[] = []) =>
  imageRecord({ id, repoTags, repoDigests });

function tableOf(...images: ReturnType<typeof image>[]): ImageTable {
  const table = new ImageTable();
  for (const one of images) table.put(one);
  return table;
}

describe('ImageTable', () => {
  it('finds images by id, tag and digest', () => {
    const table = tableOf(image(ID.a, ['app:1', 'app:2'], ['app@sha256:d1']));
    expect(table.get(ID.a)?.id).toBe(ID.a);
    const names = ['app:1', 'app:2', 'app@sha256:d1', 'app', 'app:3'];
    expect(names.map((name) => table.byName(name)?.id)).toEqual([ID.a, ID.a, ID.a, undefined, undefined]);
  });

  it.each([
    { desc: 'hex only', prefix: 'aa1', found: [ID.a] },
    { desc: 'with algorithm', prefix: 'sha256:aa1', found: [ID.a] },
    { desc: 'ambiguous', prefix: 'aa', found: [ID.a, ID.b] },
    { desc: 'complete', prefix: ID.b, found: [ID.b] },
    { desc: 'unknown', prefix: 'bb', found: [] },
  ])('byIdPrefix finds the images with a prefix: $desc', ({ prefix, found }) => {
    const table = tableOf(image(ID.a, []), image(ID.b, []));
    expect(table.byIdPrefix(prefix).map(({ id }) => id)).toEqual(found);
  });

  it('moves a tag away from the image that had it', () => {
    const table = tableOf(image(ID.a, ['app:latest', 'app:1'], ['app@sha256:d1']));
    table.put(image(ID.b, ['app:latest'], ['app@sha256:d2']));
    expect(table.byName('app:latest')?.id).toBe(ID.b);
    expect(table.get(ID.a)).toMatchObject({ repoTags: ['app:1'], repoDigests: ['app@sha256:d1'] });
    table.delete(ID.a);
    expect(table.byName('app:latest')?.id).toBe(ID.b);
    expect(table.byName('app:1')).toBeUndefined();
  });

  it('keeps a name with its new owner when the previous owner is recorded again without it', () => {
    const table = tableOf(image(ID.a, ['app:latest']), image(ID.b, ['app:latest']));
    table.put(image(ID.a, []));
    expect(table.byName('app:latest')?.id).toBe(ID.b);
  });

  it('does not find an image by a name that it lost', () => {
    const table = tableOf(image(ID.a, ['app:1', 'app:2']));
    table.put(image(ID.a, ['app:2']));
    expect([table.byName('app:1'), table.byName('app:2')?.id]).toEqual([undefined, ID.a]);
  });

  it('reports a change only when ids, names or sizes change', () => {
    const table = tableOf(image(ID.a, ['app:1', 'app:2'], ['app@sha256:d1']));
    const changes = (change: () => void): boolean => {
      const before = table.now;
      change();
      return table.now !== before;
    };
    expect(changes(() => table.put(image(ID.a, ['app:2', 'app:1'], ['app@sha256:d1'])))).toBe(false);
    expect(changes(() => table.put(image(ID.a, ['app:1'], ['app@sha256:d1'])))).toBe(true);
    expect(changes(() => table.put({ ...image(ID.a, ['app:1'], ['app@sha256:d1']), size: 7 }))).toBe(true);
    expect(changes(() => table.put(image(ID.b, ['app:1'])))).toBe(true);
    expect(changes(() => table.delete(ID.b))).toBe(true);
  });

  it('counts no change for the same record or an unknown id, and one for another digest or a removal', () => {
    const table = tableOf(image(ID.a, ['app:1'], ['app@sha256:d1']));
    const before = table.now;
    table.put(image(ID.a, ['app:1'], ['app@sha256:d1']));
    expect(table.now).toBe(before);
    expect(table.get(ID.a)).toEqual(image(ID.a, ['app:1'], ['app@sha256:d1']));
    table.put(image(ID.a, ['app:1'], ['app@sha256:d2']));
    expect(table.now).toBe(before + 1);
    table.delete(ID.a);
    expect(table.now).toBe(before + 2);
    table.delete(ID.a);
    expect(table.now).toBe(before + 2);
  });

  it('moves a digest away from the image that had it', () => {
    const table = tableOf(image(ID.a, ['app:1'], ['app@sha256:d1', 'app@sha256:d2']));
    table.put(image(ID.b, [], ['app@sha256:d1']));
    expect(table.get(ID.a)).toEqual(image(ID.a, ['app:1'], ['app@sha256:d2']));
    expect(table.byName('app@sha256:d1')?.id).toBe(ID.b);
  });

  describe('knows that a question asked before a change is outdated', () => {
    it('when the image was put since', () => {
      const table = new ImageTable();
      const before = table.ask();
      table.put(image(ID.a, []));
      const after = table.ask();
      expect(after).toBeGreaterThan(before);
      expect([ID.a, ID.b].map((id) => table.isNewerThan(id, before))).toEqual([true, false]);
      expect(table.isNewerThan(ID.a, after)).toBe(false);
    });

    it('when the image was removed since, even if it was unknown', () => {
      const table = new ImageTable();
      const before = table.ask();
      table.delete(ID.a);
      expect(table.isNewerThan(ID.a, before)).toBe(true);
      expect(table.isNewerThan(ID.a, table.ask())).toBe(false);
    });

    it('when a list that was requested later lacked the image, and only then', () => {
      const table = tableOf(image(ID.a, []));
      const first = table.ask();
      const second = table.ask();
      table.delete(ID.a, first);
      expect(table.isNewerThan(ID.a, first)).toBe(false);
      expect(table.isNewerThan(ID.a, second)).toBe(false);
      expect(table.isNewerThan(ID.a, first - 1)).toBe(true);
    });

    it('for all present images and the last thousand removed ones', () => {
      const table = new ImageTable();
      const asked = table.ask();
      table.put(image('kept', []));
      for (let index = 0; index < 1_000; index++) table.delete(`gone ${index}`);
      expect(['kept', 'gone 0'].map((id) => table.isNewerThan(id, asked))).toEqual([true, true]);
      // A change of an image makes it the most recent of all.
      table.put(image('kept', []));
      table.delete('one more');
      expect(['kept', 'gone 0', 'gone 1', 'one more'].map((id) => table.isNewerThan(id, asked))).toEqual([
        true,
        false,
        true,
        true,
      ]);
    });
  });

  it('deletes an image with all names, and ignores unknown ids', () => {
    const table = tableOf(image(ID.a, ['app:1']));
    table.delete(ID.b);
    expect(table.size).toBe(1);
    table.delete(ID.a);
    expect(table.size).toBe(0);
    expect([table.byName('app:1'), [...table.values()]]).toEqual([undefined, []]);
  });
});
