import { MountPropagation } from '../../../src/proto/enums';
import * as mounts from '../../../src/translate/mounts';
import { codeAndField } from '../support/errors';
import { decoded, unknownEnum } from '../support/wire';

type Given = Parameters<typeof decoded<'Mount'>>[1];
const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } = MountPropagation;
const BIND = { container_path: '/data', host_path: '/srv/data' };
const records = (...given: Given[]) =>
  mounts.toMountRecords(
    given.map((mount) => decoded('Mount', mount)),
    'm',
  );

const ROWS: { desc: string; given: Given; engine: object }[] = [
  { desc: 'plain', given: {}, engine: { ReadOnly: false, BindOptions: {} } },
  {
    desc: 'read-only, not recursively',
    given: { readonly: true },
    engine: { ReadOnly: true, BindOptions: { ReadOnlyNonRecursive: true } },
  },
  {
    desc: 'from the host',
    given: { propagation: PROPAGATION_HOST_TO_CONTAINER },
    engine: { ReadOnly: false, BindOptions: { Propagation: 'rslave' } },
  },
  {
    desc: 'both ways',
    given: { propagation: PROPAGATION_BIDIRECTIONAL, readonly: true },
    engine: { ReadOnly: true, BindOptions: { Propagation: 'rshared', ReadOnlyNonRecursive: true } },
  },
];

describe('mounts', () => {
  it.each(ROWS)('$desc', ({ given, engine }) => {
    expect(mounts.toEngineMounts(records({ ...BIND, ...given }))).toEqual([
      { Type: 'bind', Source: '/srv/data', Target: '/data', ...engine },
    ]);
  });

  it.each(ROWS)("$desc: read back, from cri-dockerd's containers too", ({ given }) => {
    const record = records({ ...BIND, ...given });
    expect(mounts.fromEngineMounts({ Mounts: mounts.toEngineMounts(record) })).toEqual(record);
    expect(record.map(mounts.toCriMount)).toEqual([
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

  it('keeps the order and the relabel wish', () => {
    const given = [
      { ...BIND, selinux_relabel: true },
      { container_path: '/b', host_path: '/srv' },
    ];
    expect(records(...given).map((mount) => [mount.containerPath, mount.selinuxRelabel])).toEqual([
      ['/data', true],
      ['/b', false],
    ]);
  });

  it.each([{ Mounts: null }, {}])('none: %p', (host) => expect(mounts.fromEngineMounts(host)).toEqual([]));

  it('reads what an Engine left out', () => {
    const [mount] = mounts.fromEngineMounts({
      Mounts: [{ Type: 'bind', Source: '/a', Target: '/b', ReadOnly: false }],
    });
    expect(mount?.propagation).toBe(PROPAGATION_PRIVATE);
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
      desc: 'recursive_read_only',
      given: { ...BIND, recursive_read_only: true, readonly: true },
      error: 'UNIMPLEMENTED m[1].recursive_read_only',
    },
    {
      desc: 'an image volume',
      given: { container_path: '/a', image: { image: 'app' } },
      error: 'UNIMPLEMENTED m[1].image',
    },
    { desc: 'mapped uids', given: { ...BIND, uidMappings: [{}] }, error: 'UNIMPLEMENTED m[1].uidMappings' },
    { desc: 'mapped gids', given: { ...BIND, gidMappings: [{}] }, error: 'UNIMPLEMENTED m[1].uidMappings' },
    {
      desc: 'mount options',
      given: { ...BIND, mount_options: ['noexec'] },
      error: 'UNIMPLEMENTED m[1].mount_options',
    },
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => records(BIND, given))).toBe(error));
});
