import { parse } from 'smol-toml';
import { containerdPlan, type TargetNode } from '../../../../src/migrate/plan/containerd';
import { DROP_IN, DROP_INS, MAIN, METRICS } from '../../../../src/migrate/plan/containerd-main';
import { targetSettings } from '../../../../src/migrate/mapping/target-settings';

const settings = targetSettings(
  { 'data-root': '/data/docker' },
  {
    cgroupDriver: 'systemd',
    cgroupVersion: 2,
    images: [],
    isContainerdShared: false,
    proxy: { http: '', https: '', no: '' },
  },
);

const NODE: TargetNode = {
  cgroupVersion: 2,
  certificates: {},
  cniConfDir: '/etc/cni/net.d',
  cniBinDirs: ['/opt/cni/bin'],
  sandboxImage: '',
  openFiles: '',
  mainPath: MAIN,
  cniMissing: {},
  executables: [],
  crioRuntimes: [],
};

function files(mainConfig?: string, more: Partial<TargetNode> = {}): Record<string, string> {
  const node = { ...NODE, ...(mainConfig === undefined ? {} : { mainConfig }), ...more };
  return Object.fromEntries(
    containerdPlan(settings, node, 'origin').files.map(({ path, text }) => [path, text]),
  );
}

const version = (text: string | undefined) => parse(text ?? '').version;

describe('the main configuration of containerd', () => {
  it('is new on a node without one, and imports the drop-in', () => {
    const { [MAIN]: main, [DROP_IN]: dropIn } = files();
    expect(main).toMatch(/^# origin\n/);
    expect(parse(main!)).toEqual({ version: 3, imports: [DROP_IN] });
    expect(version(dropIn)).toBe(3);
  });

  it.each(['disabled_plugins = ["cri"]\n#root = "/x"\n', '# nothing\n', 'version = 2\n'])(
    'replaces a file that sets nothing but the version or disabled plugins: %j',
    (stub) => {
      const { [MAIN]: main } = files(stub);
      expect(parse(main!)).toEqual({ version: 3, imports: [DROP_IN] });
    },
  );

  it.each([
    ['["btrfs", "cri", "nri"]', ['io.containerd.snapshotter.v1.btrfs', 'io.containerd.grpc.v1.nri']],
    [
      '["io.containerd.snapshotter.v1.zfs", "io.containerd.grpc.v1.cri"]',
      ['io.containerd.snapshotter.v1.zfs'],
    ],
  ])('keeps other plugins off: %s', (disabled, kept) => {
    const { [MAIN]: main } = files(`disabled_plugins = ${disabled}\n`);
    expect(parse(main!)).toEqual({ version: 3, disabled_plugins: kept, imports: [DROP_IN] });
  });

  it('keeps its lines and comments, enables CRI and gets the import', () => {
    const before =
      '# ours\nversion = 3 # v\nroot = "/data" # big disk\ndisabled_plugins = ["x", "io.containerd.grpc.v1.cri"]\n[debug]\nlevel = "info"\n';
    expect(files(before)[MAIN]).toBe(
      `# ours\nversion = 3 # v\nimports = [ "${DROP_IN}" ]\nroot = "/data" # big disk\ndisabled_plugins = [ "x" ]\n[debug]\nlevel = "info"\n`,
    );
  });

  it('keeps its root if it has one, and the drop-in then sets none', () => {
    expect(parse(files()[DROP_IN]!).root).toBe('/data/containerd');
    expect(parse(files('version = 3\nroot = "/big"\n')[DROP_IN]!).root).toBeUndefined();
  });

  it('gets the import in addition to those that it has', () => {
    expect(
      parse(files('version = 3\nimports = ["/a/*.toml"]\n[debug]\nlevel = "info"\n')[MAIN]!).imports,
    ).toEqual(['/a/*.toml', DROP_IN]);
  });

  it('is written anew when a list is written in several lines', () => {
    const { [MAIN]: main } = files('version = 3\nimports = [\n  "/a.toml",\n]\noom_score = 5\n');
    expect(parse(main!)).toEqual({ version: 3, imports: ['/a.toml', DROP_IN], oom_score: 5 });
  });

  it('of version 2 makes the drop-in one of version 2', () => {
    const { [DROP_IN]: dropIn } = files(
      'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nenable_selinux = true\n',
    );
    expect(parse(dropIn!)).toMatchObject({
      version: 2,
      plugins: {
        'io.containerd.grpc.v1.cri': { cni: { bin_dir: '/opt/cni/bin', conf_dir: '/etc/cni/net.d' } },
      },
    });
  });

  const VERSION_2 = 'version = 2\n[debug]\nlevel = "info"\n';
  const VERSION_3 = 'version = 3\n[plugins."io.containerd.cri.v1.runtime".cni]\nbin_dir = "/opt/cni/bin"\n';
  const cniBinDirs = ['/opt/cni/bin', '/usr/lib/cni'];
  /** The table `cni` of the drop-in, when each directory lacks these plugins. */
  const cniOf = (main: string, inOpt: string[], inLib: string[]) => {
    const cniMissing = { '/opt/cni/bin': inOpt, '/usr/lib/cni': inLib };
    const { plugins } = parse(files(main, { cniBinDirs, cniMissing })[DROP_IN]!) as {
      plugins: Record<string, { cni?: object }>;
    };
    return Object.values(plugins).find(({ cni }) => cni !== undefined)?.cni;
  };
  const conf = { conf_dir: '/etc/cni/net.d' };

  it('of version 2 gets a drop-in with the CNI directory that has all plugins', () => {
    expect(cniOf(VERSION_2, ['loopback'], [])).toEqual({ ...conf, bin_dir: '/usr/lib/cni' });
    expect(cniOf(VERSION_2, [], ['calico'])).toEqual({ ...conf, bin_dir: '/opt/cni/bin' });
  });

  it('of version 3 gets bin_dirs only if it has no bin_dir, because containerd refuses both together', () => {
    expect(cniOf(VERSION_3, [], [])).toEqual(conf);
    expect(cniOf(VERSION_3, ['loopback'], [])).toEqual({ ...conf, bin_dir: '/usr/lib/cni' });
    expect(cniOf('version = 3\noom_score = 1\n', ['loopback'], [])).toEqual({
      ...conf,
      bin_dirs: cniBinDirs,
    });
  });

  it.each([VERSION_2, VERSION_3])('is refused when no directory has all plugins: %j', (main) => {
    expect(() => cniOf(main, ['loopback'], ['calico'])).toThrow(
      '/opt/cni/bin lacks loopback; /usr/lib/cni lacks calico. Link the plugins',
    );
  });

  it.each([
    ['version = 1\n[plugins.cri]\nx = 1\n', 'configuration version 1'],
    ['[plugins.cri]\nx = 1\n', 'configuration version 1'],
    ['version = = 2\n', 'not valid TOML (line 1)'],
    [
      'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["https://m"]\n',
      'registry.mirrors',
    ],
    [
      'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/etc/hosts.d"\n',
      'registry.config_path = "/etc/hosts.d"',
    ],
  ])('is refused when the plan cannot extend it: %j', (text, message) => {
    expect(() => files(text)).toThrow(message);
  });

  it('keeps its directories of registries if the directory of the plan is among them', () => {
    const paths = '/etc/containerd/certs.d:/etc/docker/certs.d';
    const main = `version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "${paths}"\n`;
    expect(parse(files(main)[DROP_IN]!)).toMatchObject({
      plugins: { 'io.containerd.cri.v1.images': { registry: { config_path: paths } } },
    });
  });

  it('imports the file of the metrics once it is there', () => {
    const [main] = containerdPlan({ ...settings, metricsAddress: '127.0.0.1:9323' }, NODE, 'origin').files;
    expect(parse(main!.text).imports).toEqual([DROP_INS]);
    expect(METRICS.startsWith(DROP_INS.split('*')[0]!) && METRICS.endsWith(DROP_INS.split('*')[1]!)).toBe(
      true,
    );
  });
});
