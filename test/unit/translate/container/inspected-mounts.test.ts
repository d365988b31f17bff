import { MountPropagation } from '../../../../src/proto/enums';
import type { MountRecord } from '../../../../src/store/records';
import { fromEngineMounts } from '../../../../src/translate/container/inspected-mounts';

const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } = MountPropagation;
const PLAIN: MountRecord = {
  containerPath: '/data',
  hostPath: '/srv/data',
  readonly: false,
  selinuxRelabel: false,
  propagation: PROPAGATION_PRIVATE,
  recursiveReadOnly: false,
};

describe('A bind of cri-dockerd or dockershim', () => {
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
  ])('%s is read', (bind, expected) => {
    expect(fromEngineMounts({ HostConfig: { Binds: [bind] } })).toEqual([{ ...PLAIN, ...expected }]);
  });

  it.each(['cache:/data', 'cache:/data:rw', '/data', '/data:rw'])(
    '%s is of a volume, wherever it is',
    (bind) => {
      const HostConfig = { Binds: [bind] };
      expect(fromEngineMounts({ HostConfig })).toEqual([{ ...PLAIN, hostPath: '' }]);
      const Source = '/var/lib/docker/volumes/cache/_data';
      const Mounts = [{ Type: 'volume', Source, Destination: '/data', Mode: 'z', RW: true }];
      expect(fromEngineMounts({ HostConfig, Mounts })).toEqual([{ ...PLAIN, hostPath: Source }]);
    },
  );
});

describe('Mounts of a container that others made', () => {
  it.each([{}, { Binds: null, Mounts: null, Tmpfs: null }])('are none in %j', (HostConfig) => {
    expect(fromEngineMounts({ HostConfig, Mounts: null })).toEqual([]);
    expect(fromEngineMounts({ HostConfig })).toEqual([]);
  });

  it('are read where an Engine left things out', () => {
    const Mounts = [{ Type: 'bind' as const, Source: '/srv/data', Target: '/data' }];
    expect(fromEngineMounts({ HostConfig: { Mounts } })).toEqual([PLAIN]);
  });

  it('are all that were asked for, in that order, and then what the image brings', () => {
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
