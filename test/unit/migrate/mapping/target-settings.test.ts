import { targetSettings, type NodeContext } from '../../../../src/migrate/mapping/target-settings';

const NODE: NodeContext = {
  cgroupDriver: '',
  cgroupVersion: 2,
  images: [],
  isContainerdShared: false,
  proxy: { http: '', https: '', no: '' },
};

const settings = (merged: Record<string, unknown>, node: Partial<NodeContext> = {}) =>
  targetSettings(merged, { ...NODE, ...node });

describe('targetSettings', () => {
  it('keeps the cgroup driver in use, and otherwise takes the one of exec-opts or of the cgroup version', () => {
    const asked = { 'exec-opts': ['native.cgroupdriver=systemd'] };
    expect(settings(asked, { cgroupDriver: 'cgroupfs' }).cgroupDriver).toBe('cgroupfs');
    expect(settings(asked, { cgroupVersion: 1 }).cgroupDriver).toBe('systemd');
    expect(settings({}, { cgroupVersion: 1 }).cgroupDriver).toBe('cgroupfs');
    expect(settings({}).cgroupDriver).toBe('systemd');
  });

  it("replaces ranges of insecure registries by the registries in these ranges that the node's images name", () => {
    const images = [
      '10.1.2.3:5000/a:1',
      '10.9.0.1/b',
      'reg.example/c',
      'localhost:5000/d',
      'busybox',
      'library/x',
    ];
    expect(
      settings({ 'insecure-registries': ['10.1.0.0/16', 'http://r:5000'] }, { images }).insecureRegistries,
    ).toEqual(['r:5000', '10.1.2.3:5000', 'localhost:5000']);
  });

  it('prefers the mirrors that the Engine reports to those in its file', () => {
    expect(
      settings(
        { 'registry-mirrors': ['https://old'] },
        { registries: { mirrors: ['https://new/'], insecure: [] } },
      ).mirrors,
    ).toEqual(['https://new']);
  });

  it.each([
    ['10m', '10Mi'],
    ['1g', '1Gi'],
    ['500k', '500Ki'],
    ['100', '100'],
    ['10MB', '10Mi'],
    ['-1', ''],
  ])('writes the log size %j as %j', (size, quantity) => {
    expect(settings({ 'log-opts': { 'max-size': size } }).logMaxSize).toBe(quantity);
  });

  it('keeps at least two log files, as the kubelet demands', () => {
    expect(settings({ 'log-opts': { 'max-file': '1' } }).logMaxFiles).toBe(2);
    expect(settings({ 'log-opts': { 'max-file': '5' } }).logMaxFiles).toBe(5);
  });

  it('reads limits without regard to the case of their keys', () => {
    expect(
      settings({ 'default-ulimits': { nofile: { soft: 1, HARD: 2, Name: 'nofile' }, core: { Hard: -1 } } })
        .ulimits,
    ).toEqual([
      { name: 'nofile', soft: 1, hard: 2 },
      { name: 'core', soft: 0, hard: -1 },
    ]);
  });

  it('puts data next to that of the Engine, unless both share one containerd', () => {
    expect(settings({ 'data-root': '/data/docker/' }).dataParent).toBe('/data');
    expect(settings({ 'data-root': '/data/docker' }, { isContainerdShared: true }).dataParent).toBe('');
    expect(settings({ 'data-root': '/var/lib/docker' }).dataParent).toBe('');
  });

  it('sets a default runtime only if it is defined, is runc or names a shim', () => {
    expect(settings({ 'default-runtime': 'nope' }).defaultRuntime).toBe('');
    expect(settings({ 'default-runtime': 'k', runtimes: { k: { path: '/k' } } }).defaultRuntime).toBe('k');
    expect(settings({ 'default-runtime': 'io.containerd.runc.v2' }).defaultRuntime).toBe('runc');
    expect(settings({ 'default-runtime': 'io.containerd.kata.v2' })).toMatchObject({
      defaultRuntime: 'io.containerd.kata.v2',
      runtimes: [{ name: 'io.containerd.kata.v2', type: 'io.containerd.kata.v2' }],
    });
  });
});
