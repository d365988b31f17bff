import { cri } from '../../../../src/proto';
import type { EngineImageInspect } from '../../../../src/engine/types';
import { imageFromInspect, toCriImage, toVerboseInfo } from '../../../../src/translate/image/image';
import { engineId, imageRecord } from '../../support/records';

const ID = `sha256:${engineId('1')}`;

describe('imageFromInspect', () => {
  it.each<{ desc: string; inspect: Omit<EngineImageInspect, 'Id' | 'Size'>; record: object }>([
    {
      desc: 'a tagged image',
      inspect: {
        RepoTags: ['app:1'],
        RepoDigests: ['app@sha256:d'],
        Config: { User: '7', StopSignal: 'SIGINT', Labels: { a: 'b' } },
      },
      record: {
        repoTags: ['app:1'],
        repoDigests: ['app@sha256:d'],
        user: '7',
        stopSignal: 'SIGINT',
        labels: { a: 'b' },
      },
    },
    {
      desc: 'a dangling image, for which <none> is not a name',
      inspect: { RepoTags: ['<none>:<none>'], RepoDigests: ['<none>@<none>'], Config: {} },
      record: { repoTags: [], repoDigests: [], user: '', stopSignal: '', labels: {} },
    },
    {
      desc: 'null in every field',
      inspect: { RepoTags: null, RepoDigests: null, Config: null },
      record: { repoTags: [], repoDigests: [], user: '', stopSignal: '', labels: {} },
    },
    {
      desc: 'a digest among the tags, as the containerd store lists it',
      inspect: { RepoTags: ['app:1', 'app@sha256:d'], RepoDigests: ['app@sha256:d'] },
      record: { repoTags: ['app:1'], repoDigests: ['app@sha256:d'], user: '', stopSignal: '', labels: {} },
    },
    {
      desc: 'null labels',
      inspect: { Config: { Labels: null } },
      record: { repoTags: [], repoDigests: [], user: '', stopSignal: '', labels: {} },
    },
  ])('reads $desc', ({ inspect, record }) => {
    expect(imageFromInspect({ Id: ID, Size: 5, ...inspect })).toEqual({
      id: ID,
      size: 5,
      spec: expect.any(Object) as object,
      ...record,
    });
  });
});

describe('toVerboseInfo', () => {
  it('returns the OCI configuration with the fields that the image sets', () => {
    const inspect = {
      Id: ID,
      Size: 5,
      Architecture: 'amd64',
      Os: 'linux',
      Created: '2023-11-14T22:13:20Z',
      Config: { User: '7', Env: ['A=b'], Entrypoint: null, Cmd: ['sh'], WorkingDir: '', Labels: { a: 'b' } },
    };
    expect(toVerboseInfo(imageFromInspect(inspect))).toEqual({
      labels: { a: 'b' },
      imageSpec: {
        created: '2023-11-14T22:13:20Z',
        architecture: 'amd64',
        os: 'linux',
        config: { User: '7', Env: ['A=b'], Cmd: ['sh'], Labels: { a: 'b' } },
      },
    });
  });
});

describe('toCriImage', () => {
  it.each([
    { desc: 'none', user: '', uid: null, username: '' },
    { desc: 'a number', user: '1000', uid: '1000', username: '' },
    { desc: 'root as a number', user: '0', uid: '0', username: '' },
    { desc: 'a number with group', user: '1000:2000', uid: '1000', username: '' },
    { desc: 'a name', user: 'www-data', uid: null, username: 'www-data' },
    { desc: 'a name with group', user: 'www-data:adm', uid: null, username: 'www-data' },
    { desc: 'only a group', user: ':adm', uid: null, username: '' },
    { desc: 'a name that begins with digits', user: '7zip', uid: null, username: '7zip' },
    { desc: 'a negative number, which is a name', user: '-1', uid: null, username: '-1' },
  ])('sets the user: $desc', ({ user, uid, username }) => {
    const { uid: got, username: name } = decodedImage(imageRecord({ user }));
    expect([got?.value?.toString() ?? null, name]).toEqual([uid, username]);
  });

  it.each([
    { desc: 'by tag', record: imageRecord(), image: 'busybox:latest' },
    { desc: 'by digest', record: imageRecord({ repoTags: [] }), image: `busybox@sha256:${engineId('d')}` },
    { desc: 'by id', record: imageRecord({ repoTags: [], repoDigests: [] }), image: ID },
    { desc: 'as pods name it', record: imageRecord(), asked: 'app:2', image: 'app:2' },
  ])('names the image $desc', ({ record, asked, image }) =>
    expect(decodedImage(record, asked).spec?.image).toBe(image),
  );

  it('passes the other fields on', () => {
    expect(toCriImage(imageRecord({ size: 2 ** 40 }), true)).toMatchObject({
      id: ID,
      repo_tags: ['busybox:latest'],
      repo_digests: [`busybox@sha256:${engineId('d')}`],
      size: 2 ** 40,
      pinned: true,
    });
    expect(toCriImage(imageRecord(), false).pinned).toBe(false);
  });
});

function decodedImage(record: ReturnType<typeof imageRecord>, askedName?: string) {
  return cri.Image.decode(cri.Image.encode(toCriImage(record, false, askedName)).finish());
}
