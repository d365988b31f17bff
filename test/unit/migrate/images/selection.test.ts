import { chosenImages, nameOf } from '../../../../src/migrate/images/selection';

const ID = (digit: string): string => `sha256:${digit.repeat(64)}`;
const IMAGES = [
  { Id: ID('1'), RepoTags: ['busybox:1'], RepoDigests: [`busybox@${ID('a')}`], Size: 10 },
  { Id: ID('2'), RepoTags: ['registry.example:5000/team/local:2'], RepoDigests: null, Size: 20 },
  { Id: ID('3'), RepoTags: ['<none>:<none>'], RepoDigests: ['<none>@<none>'], Size: 30 },
  { Id: ID('4'), RepoTags: null, RepoDigests: [`quay.example/by-digest@${ID('b')}`], Size: 40 },
];
const container = (ImageID: string, Labels: Record<string, string>, State = 'running') => ({
  ...{ Id: '', Names: [], Image: '', Created: 0, ImageID, Labels, State },
});
const names = (...given: Parameters<typeof chosenImages>): string[] => chosenImages(...given).map(nameOf);

describe('chosenImages', () => {
  it('takes images of pods, running or ended, by default', () => {
    const containers = [
      container(ID('2'), { 'io.kubernetes.pod.name': 'web' }, 'exited'),
      container(ID('2'), { 'io.kubernetes.pod.name': 'api' }),
      container(ID('1'), { 'com.docker.compose.project': 'shop' }),
    ];
    expect(chosenImages(IMAGES, containers, 'used')).toEqual([
      {
        id: ID('2'),
        tags: ['registry.example:5000/team/local:2'],
        digests: [],
        size: 20,
        why: 'pod web and 1 more; in no registry that the Engine knows',
      },
    ]);
  });

  it('takes with only-local the images without a registry digest', () => {
    expect(names(IMAGES, [], 'only-local')).toEqual(['registry.example:5000/team/local:2']);
  });

  it('takes with only-local the images that were not pulled, when all images have a digest', () => {
    expect(chosenImages(IMAGES, [], 'only-local', new Set([ID('2'), ID('4')]))).toMatchObject([
      { id: ID('1'), why: 'no pod uses it; in no registry that the Engine knows' },
    ]);
  });

  it('takes with all every image that has a name, under its full name', () => {
    expect(names(IMAGES, [], 'all')).toEqual([
      'docker.io/library/busybox:1',
      `quay.example/by-digest@${ID('b')}`,
      'registry.example:5000/team/local:2',
    ]);
  });
});
