import { MountPropagation } from '../../../../src/proto/enums';
import * as mounts from '../../../../src/translate/container/mounts';
import { codeAndField } from '../../support/errors';
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
    { desc: 'from the host', given: { propagation: PROPAGATION_HOST_TO_CONTAINER } },
    { desc: 'both ways', given: { propagation: PROPAGATION_BIDIRECTIONAL, readonly: true } },
    { desc: 'relabelled', given: { selinux_relabel: true } },
  ])('$desc: comes back as requested', ({ given }) => {
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

  it('of an image: comes back as requested, with what was mounted', () => {
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

  it('of the host: a sub-path of an image says nothing, as kubelet sends it beside an image volume', () => {
    const [plain] = records(BIND);
    expect(records({ ...BIND, image_sub_path: 'app.conf' })).toEqual([plain]);
    expect(records({ ...BIND, image: { image: '' }, image_sub_path: '../app.conf' })).toEqual([plain]);
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
  ])('refuses $desc', ({ given, error }) => expect(codeAndField(() => records(BIND, given))).toBe(error));
});
