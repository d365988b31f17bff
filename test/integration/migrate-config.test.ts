import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { parse, type TomlTable } from 'smol-toml';
import { rowOf } from '../../src/migrate/mapping/table';
import { baseSpec } from '../../src/migrate/plan/base-spec';
import { DROP_IN, MAIN, METRICS } from '../../src/migrate/plan/containerd-main';
import { makePlan } from '../../src/migrate/plan/plan';
import { daemonJson, dockerdKeys } from '../unit/migrate/mapping/dockerd-keys';
import { KUBELET_FILES, nodeFacts } from '../unit/migrate/plan/node-facts';

const run = promisify(execFile);
/** The directory of the imported files. */
const DIRECTORY = '/etc/containerd/conf.d/';

/** containerd 2.1 of Debian testing, which comes with Engine 28.5. */
let bin: string;
let scratch: string;

beforeAll(async () => {
  const { stdout } = await run('bash', ['scripts/engine-version.sh', '28.5']);
  bin = stdout.split(':')[0]!;
}, 600_000);
beforeEach(async () => (scratch = await mkdtemp(join(tmpdir(), 'containerd-config-'))));
afterEach(() => rm(scratch, { recursive: true }));

interface Judged {
  /** What the plan wrote. */
  readonly dropIn: TomlTable;
  /** What containerd made of all files. */
  readonly dump: TomlTable;
  /** Keys that containerd does not know. */
  readonly unknown: string[];
}

const PLUGINS = [
  '--pod-infra-container-image=reg.example/pause:1',
  '--cni-bin-dir=/opt/test/bin',
  '--cni-conf-dir=/etc/test/net.d',
];

/** Lets containerd read the files of a plan. The paths of the imports change, because the files are in a directory of the test. */
async function judge(daemon: string, main?: string, change = (text: string) => text): Promise<Judged> {
  const programs = [{ name: 'cri-dockerd' as const, pid: 2, args: PLUGINS }];
  const plan = makePlan({
    facts: nodeFacts({
      daemonJson: daemon,
      files: { ...KUBELET_FILES, ...(main === undefined ? {} : { [MAIN]: main }) },
      facts: { processes: { programs, socketClients: [] } },
    }),
    findings: [],
    target: 'containerd',
    version: '1',
    accepted: [],
    keepDocker: false,
    originals: new Map(),
  });
  for (const { path, text } of plan.files) {
    await mkdir(dirname(join(scratch, path)), { recursive: true });
    await writeFile(join(scratch, path), change(text).replaceAll(DIRECTORY, join(scratch, DIRECTORY)));
  }
  const { stdout, stderr } = await run(join(bin, 'containerd'), [
    '--config',
    join(scratch, MAIN),
    'config',
    'dump',
  ]);
  return {
    dropIn: {
      ...parse(plan.files.find(({ path }) => path === METRICS)?.text ?? ''),
      ...parse(await readFile(join(scratch, DROP_IN), 'utf8')),
    },
    dump: parse(stdout),
    unknown: stderr.split('\n').filter((line) => line.includes('Ignoring unknown key')),
  };
}

function leaves(value: unknown, path: string[] = []): [string[], unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

function at(table: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], table);
}

/** Returns the settings of the drop-in that containerd has not taken. */
function missing({ dropIn, dump }: Judged): string[] {
  return leaves(dropIn)
    .filter(([path, value]) => JSON.stringify(at(dump, path)) !== JSON.stringify(value))
    .map(([path]) => path.join(' '));
}

/** Returns the settings of a drop-in of version 2 that are missing at their places in the dump, which has version 3. */
function missingOfVersion2({ dropIn, dump }: Judged): string[] {
  const cri = (key: string) => [
    ['plugins', 'io.containerd.cri.v1.runtime', ...key.split('.')],
    ['plugins', 'io.containerd.cri.v1.images', ...key.split('.')],
  ];
  const moved: Record<string, string[]> = {
    sandbox_image: ['plugins', 'io.containerd.cri.v1.images', 'pinned_images', 'sandbox'],
    'containerd.snapshotter': ['plugins', 'io.containerd.cri.v1.images', 'snapshotter'],
  };
  const { plugins, version, ...top } = dropIn;
  const { 'io.containerd.grpc.v1.cri': old, ...others } = plugins as Record<string, unknown>;
  expect(version).toBe(2);
  const wrong = leaves(old).filter(([path, value]) => {
    const key = path.join('.');
    if (key === 'cni.bin_dir')
      return !JSON.stringify(at(dump, cri('cni.bin_dirs')[0]!)).includes(String(value));
    const places =
      moved[key] === undefined ? cri(key).map((place) => [...place.slice(0, 2), ...path]) : [moved[key]];
    return !places.some((place) => JSON.stringify(at(dump, place)) === JSON.stringify(value));
  });
  return [
    ...wrong.map(([path]) => path.join(' ')),
    ...missing({ dropIn: { ...top, plugins: others as TomlTable }, dump, unknown: [] }),
  ];
}

const EVERYTHING = JSON.stringify({
  'registry-mirrors': ['https://m.example'],
  'storage-driver': 'btrfs',
  'data-root': '/data/docker',
  'log-level': 'warn',
  'log-format': 'json',
  'metrics-addr': '127.0.0.1:9323',
  'selinux-enabled': true,
  'seccomp-profile': '/etc/docker/seccomp.json',
  'cdi-spec-dirs': ['/opt/cdi'],
  'max-concurrent-downloads': 7,
  'default-ulimits': { nofile: { Name: 'nofile', Soft: 1024, Hard: 2048 } },
  'default-runtime': 'crun',
  runtimes: {
    crun: { path: '/usr/bin/crun' },
    kata: { runtimeType: 'io.containerd.kata.v2', options: { ConfigPath: '/etc/kata.toml' } },
  },
});

const MAINS: Record<string, string | undefined> = {
  'no configuration': undefined,
  'a stub that turns CRI off': 'disabled_plugins = ["cri"]\n',
  'a configuration of version 3':
    'version = 3\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\noom_score = 7\n[plugins."io.containerd.cri.v1.runtime"]\nmax_container_log_line_size = 4321\n',
};

describe('containerd and the files of a plan', () => {
  const planned = dockerdKeys().filter(
    ({ path, sample }) => rowOf(path)!.outcomes(sample).containerd.isPlanned,
  );

  it.each(planned.map(({ path, sample }) => [path.join('.'), path, sample] as const))(
    'agree on %s',
    async (_, path, sample) => {
      const judged = await judge(daemonJson(path, sample));
      expect(judged.unknown).toEqual([]);
      expect(missing(judged)).toEqual([]);
    },
  );

  it.each(Object.entries(MAINS))('agree on many settings next to %s', async (_, main) => {
    const judged = await judge(EVERYTHING, main);
    expect(judged.unknown).toEqual([]);
    expect(missing(judged)).toEqual([]);
    expect(judged.dump.disabled_plugins).toEqual([]);
    expect(leaves(judged.dropIn).length).toBe(25);
    if (main?.includes('oom_score') === true) {
      expect(judged.dump.oom_score).toBe(7);
      expect(
        at(judged.dump, ['plugins', 'io.containerd.cri.v1.runtime', 'max_container_log_line_size']),
      ).toBe(4321);
    }
  });

  it("agree on many settings next to Debian's configuration of version 2, whose own settings stay", async () => {
    const main = await readFile(join(bin, '../../etc/containerd/config.toml'), 'utf8');
    const mine = main.replace('.cni]', '.cni]\n      max_conf_num = 5');
    expect(mine).not.toBe(main);
    const judged = await judge(EVERYTHING, mine);
    expect(judged.unknown).toEqual([]);
    expect(missingOfVersion2(judged)).toEqual([]);
    expect(at(judged.dump, ['plugins', 'io.containerd.cri.v1.runtime', 'cni', 'max_conf_num'])).toBe(5);
    expect(at(judged.dump, ['plugins', 'io.containerd.internal.v1.opt', 'path'])).toBe(
      '/var/lib/containerd/opt',
    );
  });

  it('leave the directories of CNI that the main file names', async () => {
    const cni = 'bin_dirs = ["/custom/bin"]\nconf_dir = "/custom/net.d"\n';
    const main = `version = 3\noom_score = 1\n[plugins."io.containerd.cri.v1.runtime".cni]\n${cni}`;
    const judged = await judge('{}', main);
    expect(at(judged.dump, ['plugins', 'io.containerd.cri.v1.runtime', 'cni'])).toMatchObject({
      bin_dirs: ['/custom/bin'],
      conf_dir: '/custom/net.d',
    });
    expect([judged.unknown, missing(judged)]).toEqual([[], []]);
  });

  it('leave other plugins off that a file of version 1 names', async () => {
    const { dump, unknown } = await judge('{}', 'disabled_plugins = ["btrfs", "cri"]\n');
    expect(dump.disabled_plugins).toEqual(['io.containerd.snapshotter.v1.btrfs']);
    expect(unknown).toEqual([]);
  });

  it('would not agree on a key that containerd does not know', async () => {
    const judged = await judge(EVERYTHING, undefined, (text) =>
      text.replace('SystemdCgroup', 'SystemdCgroups').replace('snapshotter', 'snapshoter'),
    );
    expect(judged.unknown).toHaveLength(1);
    expect(missing(judged)).toEqual(['plugins io.containerd.cri.v1.images snapshoter']);
  });
});

describe('the base specification', () => {
  it('equals the one that containerd itself would use, except for the limits', async () => {
    const { stdout } = await run(join(bin, 'ctr'), ['oci', 'spec']);
    const theirs = JSON.parse(stdout) as Spec;
    const version = theirs.linux.namespaces.some(({ type }) => type === 'cgroup') ? 2 : 1;
    const ours = JSON.parse(baseSpec([{ name: 'nofile', soft: 1024, hard: 1024 }], version)) as Spec;
    const same = (spec: Spec) => ({
      ...spec,
      ociVersion: '',
      linux: { ...spec.linux, seccomp: undefined, maskedPaths: [...spec.linux.maskedPaths].sort() },
      process: { ...spec.process, apparmorProfile: undefined },
    });
    expect(same(ours)).toEqual(same(theirs));
  });

  it('has the largest number, which means no limit, for the limit -1', () => {
    expect(baseSpec([{ name: 'core', soft: 0, hard: -1 }], 2)).toContain('"hard": 18446744073709551615');
  });
});

interface Spec {
  readonly ociVersion: string;
  readonly process: { readonly rlimits: unknown };
  readonly linux: {
    readonly namespaces: readonly { readonly type: string }[];
    readonly maskedPaths: readonly string[];
  };
}
