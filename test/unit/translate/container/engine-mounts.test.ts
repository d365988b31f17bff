import { MountPropagation } from '../../../../src/proto/enums';
import type { MountRecord } from '../../../../src/store/records';
import { toEngineMounts } from '../../../../src/translate/container/engine-mounts';
import { fromEngineMounts } from '../../../../src/translate/container/inspected-mounts';
import { codeAndField, thrownBy } from '../../support/errors';
import { engineFeatures, NO_FEATURES } from '../../support/records';

const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } = MountPropagation;
const BIND: MountRecord = {
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
  return { ...BIND, hostPath: '', readonly: true, image };
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

describe('a bind', () => {
  it.each(ROWS)('$desc', ({ given, engine }) => {
    expect(toEngineMounts([{ ...BIND, ...given }], engineFeatures(), false, 'm')).toEqual({
      Mounts: [{ Type: 'bind', Source: '/srv/data', Target: '/data', ...engine }],
    });
  });

  it.each(ROWS)('$desc: read back', ({ given }) => {
    const record = { ...BIND, ...given };
    const HostConfig = toEngineMounts([record], engineFeatures(), false, 'm');
    expect(fromEngineMounts({ HostConfig })).toEqual([record]);
  });

  it('is not made recursively read-only by an Engine that cannot', () => {
    const recursive = { ...BIND, readonly: true, recursiveReadOnly: true };
    const refusal = thrownBy(() => toEngineMounts([BIND, recursive], NO_FEATURES, false, 'm'));
    expect(refusal).toMatch(
      /^UNIMPLEMENTED RROUnsupported: m\[1\]\.recursive_read_only: .*25\.0.*20\.10\.24/,
    );
  });
});

describe('a bind to be relabelled', () => {
  const relabelled = { ...BIND, selinuxRelabel: true };

  it('is like any other where nothing enforces SELinux', () => {
    expect(toEngineMounts([relabelled], NO_FEATURES, false, 'm')).toEqual(
      toEngineMounts([BIND], NO_FEATURES, false, 'm'),
    );
  });

  it.each<[Partial<MountRecord>, string]>([
    [{}, '/srv/data:/data:rw,Z'],
    [{ readonly: true }, '/srv/data:/data:ro,Z'],
    [{ readonly: true, recursiveReadOnly: true }, '/srv/data:/data:ro,Z'],
    [{ propagation: PROPAGATION_BIDIRECTIONAL }, '/srv/data:/data:rw,Z,rshared'],
    [{ propagation: PROPAGATION_HOST_TO_CONTAINER, readonly: true }, '/srv/data:/data:ro,Z,rslave'],
  ])('%p takes the old form', (given, bind) => {
    const plain = { ...BIND, containerPath: '/other' };
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

  it('gives each mount of one image a name of its own', () => {
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
    // With the algorithm, then with 64 digits down to the last 32 that are sure to name one image.
    const sources = mounts(34).map(({ Source }) => Source);
    expect(new Set(sources).size).toBe(34);
    expect(sources.at(-1)).toBe(ID.slice('sha256:'.length).slice(0, 32));
    expect(codeAndField(() => mounts(35))).toBe('UNIMPLEMENTED m[34].image');
  });

  it('is refused by an Engine that has none', () => {
    expect(thrownBy(() => toEngineMounts([imageMount()], NO_FEATURES, false, 'm'))).toBe(
      'UNIMPLEMENTED ImageVolumeMountFailed: m[0].image: needs Docker Engine 28.0 or newer (this is 20.10.24)',
    );
  });
});
