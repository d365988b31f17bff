import { MountPropagation } from '../../../../src/proto/enums';
import type { MountRecord } from '../../../../src/store/records';
import { fromEngineMounts, toEngineMounts } from '../../../../src/translate/container/mounts';
import * as mounts from '../../../../src/translate/container/mounts';
import { codeAndField, thrownBy } from '../../support/errors';
import { engineFeatures, NO_FEATURES } from '../../support/records';
import { decoded, unknownEnum } from '../../support/wire';

type Given = Parameters<typeof decoded<'Mount'>>[1];
const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } = MountPropagation;
const BIND = { container_path: '/data', host_path: '/srv/data' };
const IMAGE = { container_path: '/data', image: { image: 'app:1' }, readonly: true };
const records = (...given: Given[]) =>
  mounts.toMountRecords(
    given.map((mount) => decoded('Mount', mount)),
    'm',
  );

describe('mounts', () => {
  it.each<{ desc: string; given: Given }>([
    { desc: 'plain', given: {} },
    { desc: 'read-only', given: { readonly: true } },
    { desc: 'recursively read-only', given: { readonly: true, recursive_read_only: true } },
    { desc: 'propagation from the host', given: { propagation: PROPAGATION_HOST_TO_CONTAINER } },
    {
      desc: 'propagation in both directions',
      given: { propagation: PROPAGATION_BIDIRECTIONAL, readonly: true },
    },
    { desc: 'relabelled', given: { selinux_relabel: true } },
  ])('are read back as requested: $desc', ({ given }) => {
    expect(records({ ...BIND, ...given }).map(mounts.toCriMount)).toEqual([
      {
        ...BIND,
        readonly: false,
        selinux_relabel: false,
        propagation: PROPAGATION_PRIVATE,
        recursive_read_only: false,
        ...given,
      },
    ]);
  });

  it('of an image are read back as requested, with the mounted image', () => {
    const [record] = records({ ...IMAGE, image_sub_path: 'etc/app' });
    expect(record?.image?.id).toBe('');
    const found = { ...record!, image: { ...record!.image!, id: 'sha256:1' } };
    expect(mounts.toCriMount(found)).toEqual({
      container_path: '/data',
      host_path: '',
      readonly: true,
      selinux_relabel: false,
      propagation: PROPAGATION_PRIVATE,
      recursive_read_only: false,
      image: { image: 'app:1', annotations: {}, user_specified_image: '', image_ref: 'sha256:1' },
      image_sub_path: 'etc/app',
    });
  });

  it('of the host ignore an image sub-path, which kubelet sends with every subPath in a pod that has an image volume', () => {
    const [plain] = records(BIND);
    expect(records({ ...BIND, image_sub_path: 'app.conf' })).toEqual([plain]);
    expect(records({ ...BIND, image: { image: '' }, image_sub_path: '../app.conf' })).toEqual([plain]);
  });

  it('keep the order and the relabel request', () => {
    const given = [
      { ...BIND, selinux_relabel: true },
      { container_path: '/b', host_path: '/srv' },
    ];
    expect(records(...given).map((mount) => [mount.containerPath, mount.selinuxRelabel])).toEqual([
      ['/data', true],
      ['/b', false],
    ]);
  });

  it.each<{ desc: string; given: Given; error: string }>([
    { desc: 'no container path', given: { host_path: '/a' }, error: 'INVALID_ARGUMENT m[1].container_path' },
    {
      desc: 'a relative container path',
      given: { ...BIND, container_path: 'data' },
      error: 'INVALID_ARGUMENT m[1].container_path',
    },
    { desc: 'no host path', given: { container_path: '/a' }, error: 'INVALID_ARGUMENT m[1].host_path' },
    {
      desc: 'a relative host path',
      given: { ...BIND, host_path: 'a' },
      error: 'INVALID_ARGUMENT m[1].host_path',
    },
    { desc: 'a NUL', given: { ...BIND, host_path: '/a\0' }, error: 'INVALID_ARGUMENT m[1].host_path' },
    {
      desc: 'an unknown propagation',
      given: { ...BIND, propagation: unknownEnum(3) },
      error: 'INVALID_ARGUMENT m[1].propagation',
    },
    {
      desc: 'recursive_read_only without readonly',
      given: { ...BIND, recursive_read_only: true },
      error: 'INVALID_ARGUMENT m[1].recursive_read_only',
    },
    {
      desc: 'recursive_read_only with propagation',
      given: { ...BIND, recursive_read_only: true, readonly: true, propagation: 1 },
      error: 'INVALID_ARGUMENT m[1].recursive_read_only',
    },
    {
      desc: 'an image and a host path',
      given: { ...IMAGE, host_path: '/a' },
      error: 'INVALID_ARGUMENT m[1].host_path',
    },
    {
      desc: 'a writable image',
      given: { ...IMAGE, readonly: false },
      error: 'INVALID_ARGUMENT m[1].readonly',
    },
    {
      desc: 'an image that propagates',
      given: { ...IMAGE, propagation: PROPAGATION_BIDIRECTIONAL },
      error: 'INVALID_ARGUMENT m[1].propagation',
    },
    ...['/etc', '../etc', 'a/../../b', 'a\0b'].map((image_sub_path) => ({
      desc: `the sub-path ${JSON.stringify(image_sub_path)}`,
      given: { ...IMAGE, image_sub_path },
      error: 'INVALID_ARGUMENT m[1].image_sub_path',
    })),
    { desc: 'mapped uids', given: { ...BIND, uidMappings: [{}] }, error: 'UNIMPLEMENTED m[1].uidMappings' },
    { desc: 'mapped gids', given: { ...BIND, gidMappings: [{}] }, error: 'UNIMPLEMENTED m[1].gidMappings' },
    {
      desc: 'mount options',
      given: { ...BIND, mount_options: ['noexec'] },
      error: 'UNIMPLEMENTED m[1].mount_options',
    },
  ])('with $desc are refused', ({ given, error }) =>
    expect(codeAndField(() => records(BIND, given))).toBe(error),
  );
});

const RECORD: MountRecord = {
  containerPath: '/data',
  hostPath: '/srv/data',
  readonly: false,
  selinuxRelabel: false,
  propagation: PROPAGATION_PRIVATE,
  recursiveReadOnly: false,
};
const ID = `sha256:${'0123456789abcdef'.repeat(4)}`;

function imageMount(id = ID, subPath = ''): MountRecord {
  const image = { image: 'app', userSpecified: '', annotations: {}, id, subPath };
  return { ...RECORD, hostPath: '', readonly: true, image };
}

const ROWS: { desc: string; given: Partial<MountRecord>; engine: object }[] = [
  { desc: 'plain', given: {}, engine: { ReadOnly: false, BindOptions: {} } },
  {
    desc: 'read-only, not recursively',
    given: { readonly: true },
    engine: { ReadOnly: true, BindOptions: { ReadOnlyNonRecursive: true } },
  },
  {
    desc: 'read-only, recursively',
    given: { readonly: true, recursiveReadOnly: true },
    engine: { ReadOnly: true, BindOptions: { ReadOnlyForceRecursive: true, Propagation: 'rprivate' } },
  },
  {
    desc: 'propagation from the host',
    given: { propagation: PROPAGATION_HOST_TO_CONTAINER },
    engine: { ReadOnly: false, BindOptions: { Propagation: 'rslave' } },
  },
  {
    desc: 'propagation in both directions',
    given: { propagation: PROPAGATION_BIDIRECTIONAL, readonly: true },
    engine: { ReadOnly: true, BindOptions: { Propagation: 'rshared', ReadOnlyNonRecursive: true } },
  },
];

describe('a bind mount', () => {
  it.each(ROWS)('is translated: $desc', ({ given, engine }) => {
    expect(toEngineMounts([{ ...RECORD, ...given }], engineFeatures(), false, 'm')).toEqual({
      Mounts: [{ Type: 'bind', Source: '/srv/data', Target: '/data', ...engine }],
    });
  });

  it.each(ROWS)('is read back: $desc', ({ given }) => {
    const record = { ...RECORD, ...given };
    const HostConfig = toEngineMounts([record], engineFeatures(), false, 'm');
    expect(fromEngineMounts({ HostConfig })).toEqual([record]);
  });

  it('is refused for an Engine without the feature if it is recursively read-only', () => {
    const recursive = { ...RECORD, readonly: true, recursiveReadOnly: true };
    const refusal = thrownBy(() => toEngineMounts([RECORD, recursive], NO_FEATURES, false, 'm'));
    expect(refusal).toMatch(
      /^UNIMPLEMENTED RROUnsupported: m\[1\]\.recursive_read_only: .*25\.0.*20\.10\.24/,
    );
  });
});

describe('a bind mount with relabelling', () => {
  const relabelled = { ...RECORD, selinuxRelabel: true };

  it('is like any other on a node without SELinux', () => {
    expect(toEngineMounts([relabelled], NO_FEATURES, false, 'm')).toEqual(
      toEngineMounts([RECORD], NO_FEATURES, false, 'm'),
    );
  });

  it.each<[Partial<MountRecord>, string]>([
    [{}, '/srv/data:/data:rw,Z'],
    [{ readonly: true }, '/srv/data:/data:ro,Z'],
    [{ readonly: true, recursiveReadOnly: true }, '/srv/data:/data:ro,Z'],
    [{ propagation: PROPAGATION_BIDIRECTIONAL }, '/srv/data:/data:rw,Z,rshared'],
    [{ propagation: PROPAGATION_HOST_TO_CONTAINER, readonly: true }, '/srv/data:/data:ro,Z,rslave'],
  ])('is written in the short syntax of Binds: %p', (given, bind) => {
    const plain = { ...RECORD, containerPath: '/other' };
    expect(toEngineMounts([plain, { ...relabelled, ...given }], engineFeatures(), true, 'm')).toEqual({
      Mounts: toEngineMounts([plain], engineFeatures(), true, 'm').Mounts,
      Binds: [bind],
    });
  });

  it.each(['hostPath', 'containerPath'])('is refused with a colon in %s', (path) => {
    const odd = { ...relabelled, [path]: '/a:b' };
    expect(codeAndField(() => toEngineMounts([odd], engineFeatures(), true, 'm'))).toBe(
      'INVALID_ARGUMENT m[0].selinux_relabel',
    );
  });
});

describe('an image mount', () => {
  it('is mounted by id, read-only', () => {
    expect(toEngineMounts([imageMount()], engineFeatures(), true, 'm')).toEqual({
      Mounts: [{ Type: 'image', Source: ID, Target: '/data', ReadOnly: true }],
    });
  });

  it('has a sub-path', () => {
    const { Mounts } = toEngineMounts([imageMount(ID, 'etc')], engineFeatures(), false, 'm');
    expect(Mounts?.[0]?.ImageOptions).toEqual({ Subpath: 'etc' });
  });

  it('names its image differently from the other mounts of the same image', () => {
    const other = `sha256:${'f'.repeat(64)}`;
    const wanted = [imageMount(), imageMount(ID, 'a'), imageMount(other), imageMount(ID, 'b')];
    const { Mounts } = toEngineMounts(wanted, engineFeatures(), false, 'm');
    const digits = ID.slice('sha256:'.length);
    expect(Mounts?.map(({ Source }) => Source)).toEqual([ID, digits, other, digits.slice(0, -1)]);
  });

  it('is refused when the names run out', () => {
    const mounts = (length: number) =>
      toEngineMounts(
        Array.from({ length }, () => imageMount()),
        engineFeatures(),
        false,
        'm',
      ).Mounts ?? [];
    // First the id with its algorithm, then its digits, shortened one at a time from 64 to the first 32, which still
    // identify one image.
    const sources = mounts(34).map(({ Source }) => Source);
    expect(new Set(sources).size).toBe(34);
    expect(sources.at(-1)).toBe(ID.slice('sha256:'.length).slice(0, 32));
    expect(codeAndField(() => mounts(35))).toBe('UNIMPLEMENTED m[34].image');
  });

  it('is refused by an Engine without image mounts', () => {
    expect(thrownBy(() => toEngineMounts([imageMount()], NO_FEATURES, false, 'm'))).toBe(
      'UNIMPLEMENTED ImageVolumeMountFailed: m[0].image: needs Docker Engine 28.0 or newer (this is 20.10.24)',
    );
  });
});

const PLAIN: MountRecord = {
  containerPath: '/data',
  hostPath: '/srv/data',
  readonly: false,
  selinuxRelabel: false,
  propagation: PROPAGATION_PRIVATE,
  recursiveReadOnly: false,
};

describe('a bind mount of cri-dockerd or dockershim', () => {
  it.each<[string, Partial<MountRecord>]>([
    ['/srv/data:/data', {}],
    ['/srv/data:/data:', {}],
    ['/srv/data/:/data/', {}],
    ['/srv/data:/data:rw', {}],
    ['/srv/data:/data:ro', { readonly: true }],
    ['/srv/data:/data:Z', { selinuxRelabel: true }],
    ['/srv/data:/data:ro,Z', { readonly: true, selinuxRelabel: true }],
    ['/srv/data:/data:z,rshared', { selinuxRelabel: true, propagation: PROPAGATION_BIDIRECTIONAL }],
    ['/srv/data:/data:rslave', { propagation: PROPAGATION_HOST_TO_CONTAINER }],
    [
      '/srv/data:/data:ro,Z,rslave',
      { readonly: true, selinuxRelabel: true, propagation: PROPAGATION_HOST_TO_CONTAINER },
    ],
    ['/srv/data:/data:slave', { propagation: PROPAGATION_HOST_TO_CONTAINER }],
    ['/srv/data:/data:rprivate,nocopy,consistent', {}],
  ])('is read from %s', (bind, expected) => {
    expect(fromEngineMounts({ HostConfig: { Binds: [bind] } })).toEqual([{ ...PLAIN, ...expected }]);
  });

  it.each(['cache:/data', 'cache:/data:rw', '/data', '/data:rw'])(
    'is read from the volume %s, with the directory of the volume as its host path if the Engine reports one',
    (bind) => {
      const HostConfig = { Binds: [bind] };
      expect(fromEngineMounts({ HostConfig })).toEqual([{ ...PLAIN, hostPath: '' }]);
      const Source = '/var/lib/docker/volumes/cache/_data';
      const Mounts = [{ Type: 'volume', Source, Destination: '/data', Mode: 'z', RW: true }];
      expect(fromEngineMounts({ HostConfig, Mounts })).toEqual([{ ...PLAIN, hostPath: Source }]);
    },
  );
});

describe('mounts of a container that others made', () => {
  it.each([{}, { Binds: null, Mounts: null, Tmpfs: null }])('do not exist in %j', (HostConfig) => {
    expect(fromEngineMounts({ HostConfig, Mounts: null })).toEqual([]);
    expect(fromEngineMounts({ HostConfig })).toEqual([]);
  });

  it('are read if an Engine omitted fields', () => {
    const Mounts = [{ Type: 'bind' as const, Source: '/srv/data', Target: '/data' }];
    expect(fromEngineMounts({ HostConfig: { Mounts } })).toEqual([PLAIN]);
  });

  it('are all requested mounts in their order, followed by those of the image', () => {
    const HostConfig = {
      Binds: ['/var/lib/kubelet/pods/u/etc-hosts:/etc/hosts', '/srv/b:/b:ro'],
      Mounts: [
        {
          Type: 'bind' as const,
          Source: '/srv/a',
          Target: '/a',
          BindOptions: { Propagation: 'rslave' as const },
        },
        { Type: 'volume' as const, Source: 'named', Target: '/named', ReadOnly: true },
        { Type: 'tmpfs' as const, Target: '/scratch' },
      ],
      Tmpfs: { '/run': 'ro,size=64m' },
    };
    const point = (Type: string, Source: string, Destination: string, RW = true) => ({
      Type,
      Source,
      Destination,
      Mode: '',
      RW,
    });
    const Mounts = [
      point('volume', '/volumes/two/_data', '/z'),
      point('bind', '/srv/b', '/b', false),
      point('volume', '/volumes/one/_data', '/y'),
      point('tmpfs', '', '/scratch'),
      point('bind', '/var/lib/kubelet/pods/u/etc-hosts', '/etc/hosts'),
      point('bind', '/srv/a', '/a'),
      point('volume', '/volumes/named/_data', '/named', false),
    ];
    const expected = [
      { containerPath: '/etc/hosts', hostPath: '/var/lib/kubelet/pods/u/etc-hosts' },
      { containerPath: '/b', hostPath: '/srv/b', readonly: true },
      { containerPath: '/a', hostPath: '/srv/a', propagation: PROPAGATION_HOST_TO_CONTAINER },
      { containerPath: '/named', hostPath: '/volumes/named/_data', readonly: true },
      { containerPath: '/scratch', hostPath: '' },
      { containerPath: '/run', hostPath: '', readonly: true },
      { containerPath: '/y', hostPath: '/volumes/one/_data' },
      { containerPath: '/z', hostPath: '/volumes/two/_data' },
    ].map((mount) => ({ ...PLAIN, ...mount }));
    expect(fromEngineMounts({ HostConfig, Mounts })).toEqual(expected);
    expect(fromEngineMounts({ HostConfig, Mounts: [...Mounts].reverse() })).toEqual(expected);
  });
});
