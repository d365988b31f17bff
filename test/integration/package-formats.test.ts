import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { DOCKBRIDGE_VERSION } from '../../src/release';
import { layOut } from './support/package-tree';

const run = promisify(execFile);
const PACKAGING = join(__dirname, '../../packaging');

let directory: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-formats-'));
  await layOut(join(directory, 'tree'));
  env = {
    ...process.env,
    ...{ TREE: join(directory, 'tree'), SOURCE_DATE_EPOCH: '1700000000' },
    ...{ COMPRESSION: 'none', PAYLOAD: 'w1.gzdio', GZIP_LEVEL: '-1' },
  };
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** @returns the path of the one package in the output. */
async function make(kind: 'deb' | 'rpm' | 'tarball', arch: string, out: string): Promise<string> {
  await run('bash', [join(PACKAGING, `${kind}.sh`), arch, join(directory, out)], { env });
  const [name = '', ...others] = await readdir(join(directory, out));
  expect(others).toEqual([]);
  return join(directory, out, name);
}

const digest = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
const files = async (root: string): Promise<string[]> =>
  (await run('find', [root, '-type', 'f', '-printf', '%P\n'])).stdout.split('\n').filter(Boolean).sort();

describe('two builds', () => {
  it.each([
    ['deb', 'arm64'],
    ['deb', 'all'],
    ['rpm', 'amd64'],
    ['rpm', 'all'],
    ['tarball', 'arm64'],
  ] as const)('of the %s for %s have the same bytes', async (kind, arch) => {
    const first = await make(kind, arch, `${kind}-${arch}-1`);
    // The tree now has other file times, and another order in its directories.
    await layOut(join(directory, 'tree'));
    const second = await make(kind, arch, `${kind}-${arch}-2`);
    expect(await digest(second)).toBe(await digest(first));
  });
});

describe('the RPM', () => {
  const query = async (file: string, ...what: string[]): Promise<string[]> =>
    (await run('rpm', ['-qp', ...what, file])).stdout.split('\n').filter(Boolean);

  it.each([
    ['amd64', 'x86_64'],
    ['arm64', 'aarch64'],
  ])(
    'for %s has the architecture %s, has its files in the usual places, and keeps settings',
    async (arch, machine) => {
      const rpm = await make('rpm', arch, `rpm-${arch}`);
      expect(await query(rpm, '--qf', '%{NAME} %{VERSION} %{ARCH} %{LICENSE}\n')).toEqual([
        `dockbridge ${DOCKBRIDGE_VERSION} ${machine} Apache-2.0`,
      ]);
      const listed = await query(rpm, '-l');
      expect(listed).toEqual(
        expect.arrayContaining([
          '/usr/lib/systemd/system/dockbridge.service',
          '/usr/lib/systemd/system/dockbridge.socket',
          '/usr/share/zsh/site-functions/_dockbridge',
          '/usr/share/licenses/dockbridge/LICENSE',
          '/usr/lib/dockbridge/pause',
          '/etc/dockbridge',
          '/etc/dockbridge/config.d',
        ]),
      );
      // System directories belong to other packages.
      expect(
        listed.filter(
          (path) => /^\/(?:lib|usr|etc|usr\/lib|usr\/bin)(?:\/|$)/.test(path) && !/\/.+\/.+/.test(path),
        ),
      ).toEqual([]);
      expect(await query(rpm, '-c')).toEqual(['/etc/default/dockbridge', '/etc/dockbridge/config.yaml']);
      const flags = await query(rpm, '--qf', '[%{FILENAMES} %{FILEFLAGS:fflags}\n]');
      // c: a setting; n: a changed setting is not replaced.
      expect(flags.filter((line) => line.startsWith('/etc/'))).toEqual([
        '/etc/default/dockbridge cn',
        '/etc/dockbridge ',
        '/etc/dockbridge/config.d ',
        '/etc/dockbridge/config.yaml cn',
      ]);
      const scripts = (await query(rpm, '--scripts')).join('\n');
      expect(scripts).toContain('systemctl try-restart dockbridge.service');
      expect(scripts).not.toMatch(/systemctl (?:re)?start/);
    },
  );

  it("in cri-dockerd's place replaces cri-dockerd's package", async () => {
    const rpm = await make('rpm', 'all', 'rpm-all');
    expect(await query(rpm, '-l')).toEqual(
      expect.arrayContaining([
        '/usr/bin/cri-dockerd',
        '/usr/lib/systemd/system/cri-docker.service',
        '/usr/lib/systemd/system/cri-docker.socket',
      ]),
    );
    expect(await query(rpm, '--obsoletes')).toEqual(['cri-dockerd < 4:0']);
    expect(await query(rpm, '--requires')).toContain(`dockbridge = ${DOCKBRIDGE_VERSION}`);
  });

  it.each([
    ['that were running', 'is-enabled is-active', ['enable', 'start']],
    ['unless dockbridge.service serves', 'is-enabled is-active dockbridge', []],
    ['that were stopped', 'is-enabled', ['enable']],
    ['that were disabled', '', []],
  ])(
    "in cri-dockerd's place restores units %s, although the replaced package disables them",
    async (_, yes, what) => {
      const rpm = await make('rpm', 'all', `rpm-scripts-${yes.replaceAll(' ', '-')}`);
      const bin = await mkdtemp(join(directory, 'bin-'));
      const log = join(bin, 'log');
      const systemctl = `#!/bin/sh\necho "$@" >>${log}\ncase $3 in dockbridge*) case '${yes}' in *dockbridge) exit 0 ;; *) exit 1 ;; esac ;; esac\ncase $1 in is-*) case ' ${yes} ' in *" $1 "*) ;; *) exit 1 ;; esac ;; esac\n`;
      await writeFile(join(bin, 'systemctl'), systemctl, { mode: 0o755 });
      const scripts = await Promise.all(
        ['PREIN', 'POSTTRANS'].map(async (tag) => (await query(rpm, '--qf', `%{${tag}}`)).join('\n')),
      );
      // The scripts get a /run of their own, in which systemd seems to run.
      const inItsRun =
        'mount -t tmpfs run /run; mkdir -p /run/systemd/system; sh -c "$1" pre 1; sh -c "$2" post 1; ls /run';
      const { stdout } = await run('unshare', ['-m', 'sh', '-ec', inItsRun, 'sh', ...scripts], {
        env: { ...process.env, PATH: `${bin}:${process.env.PATH ?? ''}` },
      });
      expect(stdout).toBe('systemd\n');
      const said = (await readFile(log, 'utf8')).split('\n').filter(Boolean);
      expect(said.filter((line) => /^(enable|start) /.test(line))).toEqual(
        ['cri-docker.socket', 'cri-docker.service'].flatMap((unit) => what.map((word) => `${word} ${unit}`)),
      );
    },
  );
});

describe("Debian's package in cri-dockerd's place", () => {
  it('replaces cri-dockerd, requires dockbridge in its own version, and has the files that tools use', async () => {
    const deb = await make('deb', 'all', 'deb-all');
    const fields = ['Package', 'Architecture', 'Depends', 'Conflicts', 'Replaces', 'Provides'];
    expect((await run('dpkg-deb', ['-f', deb, ...fields])).stdout.split('\n').filter(Boolean).sort()).toEqual(
      [
        'Architecture: all',
        'Conflicts: cri-dockerd',
        `Depends: dockbridge (= ${DOCKBRIDGE_VERSION})`,
        'Package: dockbridge-cri-dockerd',
        'Provides: cri-dockerd',
        'Replaces: cri-dockerd',
      ],
    );
    const root = join(directory, 'companion');
    await run('dpkg-deb', ['-x', deb, root]);
    expect((await files(root)).filter((path) => !path.includes('/doc/'))).toEqual([
      'lib/systemd/system/cri-docker.service',
      'lib/systemd/system/cri-docker.socket',
      'usr/bin/cri-dockerd',
      'usr/share/man/man8/cri-dockerd.8.gz',
    ]);
    // These are the systemctl commands of minikube, guides and scripts.
    const systemctl = (...words: string[]): Promise<unknown> =>
      run('systemctl', [`--root=${root}`, ...words]);
    await systemctl('enable', 'cri-docker.socket', 'cri-docker.service');
    await systemctl('is-enabled', 'cri-docker.socket', 'cri-docker.service');
    await systemctl('disable', 'cri-docker.socket', 'cri-docker.service');
  });
});

describe('the tarball', () => {
  let installer: string;
  let root: string;
  const install = (...words: string[]): Promise<{ stdout: string }> =>
    run('sh', [installer, ...words], { env: { ...process.env, DESTDIR: root } });

  beforeAll(async () => {
    const tarball = await make('tarball', 'amd64', 'tarball');
    expect(tarball).toMatch(new RegExp(`/dockbridge-${DOCKBRIDGE_VERSION}-linux-amd64\\.tar\\.gz$`));
    await run('tar', ['-C', directory, '-xzf', tarball]);
    installer = join(directory, `dockbridge-${DOCKBRIDGE_VERSION}/install.sh`);
  });
  beforeEach(async () => {
    root = await mkdtemp(join(directory, 'root-'));
  });

  it("installs the packages' files, prints the next steps, and removes everything again", async () => {
    const { stdout } = await install();
    expect(stdout).toContain(`dockbridge ${DOCKBRIDGE_VERSION} is in ${root}`);
    expect(stdout).toContain('systemctl enable --now dockbridge.service');
    const expected = (await files(join(directory, 'tree'))).map((path) => path.replace(/^lib/, 'usr/lib'));
    expect(await files(root)).toEqual([...expected, 'usr/lib/dockbridge/installed-files'].sort());
    expect((await stat(join(root, 'usr/bin/dockbridge'))).mode & 0o777).toBe(0o755);
    expect((await stat(join(root, 'etc/dockbridge/config.d'))).mode & 0o777).toBe(0o755);
    await install('--uninstall');
    expect(await files(root)).toEqual([]);
    expect(await readdir(join(root, 'etc'))).toEqual(['default']);
    expect(await readdir(join(root, 'usr/lib'))).toEqual(['systemd']);
    expect(await readdir(join(root, 'usr/share/doc'))).toEqual([]);
    await expect(install('--uninstall')).rejects.toMatchObject({
      stderr: expect.stringContaining('has installed nothing in') as string,
    });
  });

  it("takes cri-dockerd's place, and gives it up, only with an explicit option", async () => {
    const companion = ['usr/bin/cri-dockerd', 'usr/lib/systemd/system/cri-docker.socket'];
    await install('--cri-dockerd');
    expect(await files(root)).toEqual(expect.arrayContaining(companion));
    const { stdout } = await install();
    expect(stdout).toContain('--no-cri-dockerd removes them');
    expect(await files(root)).toEqual(expect.arrayContaining(companion));
    await install('--no-cri-dockerd');
    expect((await files(root)).filter((path) => path.includes('cri-docker'))).toEqual([]);
    await install('--uninstall');
    expect(await files(root)).toEqual([]);
  });

  it('removes the files of an installation that failed midway', async () => {
    // install.sh cannot copy the command, because a directory has the name of its temporary file.
    const obstacle = join(root, 'usr/bin/dockbridge.new/dockbridge');
    await mkdir(obstacle, { recursive: true });
    await writeFile(join(obstacle, 'file'), '');
    await expect(install()).rejects.toMatchObject({ code: 1 });
    await rm(join(root, 'usr/bin'), { recursive: true });
    await install('--uninstall');
    expect(await files(root)).toEqual([]);
  });

  it('still knows the files of the previous version after an upgrade that failed midway', async () => {
    await install();
    const record = join(root, 'usr/lib/dockbridge/installed-files');
    const gone = 'usr/lib/dockbridge/of-the-version-before';
    await writeFile(join(root, gone), '');
    await writeFile(record, `${await readFile(record, 'utf8')}/${gone}\n`);
    const obstacle = join(root, 'usr/bin/dockbridge.new/dockbridge');
    await mkdir(obstacle, { recursive: true });
    await expect(install()).rejects.toMatchObject({ code: 1 });
    await rm(join(root, 'usr/bin/dockbridge.new'), { recursive: true });
    await install();
    expect(await files(root)).not.toContain(gone);
  });

  it.each([
    ['variables', 'etc/default/dockbridge', 'DOCKBRIDGE_LOG_LEVEL=debug\n'],
    ['a file', 'etc/dockbridge/config.yaml', 'log-level: debug\n'],
    ['a file of their own', 'etc/dockbridge/config.d/10-node.yaml', 'log-level: debug\n'],
  ])('keeps changed settings in %s through an upgrade and a removal', async (_, place, text) => {
    await install();
    const settings = join(root, place);
    await writeFile(settings, text);
    const { stdout } = await install();
    expect(stdout).not.toContain('Nothing was started');
    await install('--uninstall');
    expect(await files(root)).toEqual([place]);
    expect(await readFile(settings, 'utf8')).toBe(text);
  });

  it('refuses users without write access, and unknown arguments', async () => {
    await expect(install('--remove')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--uninstall') as string,
    });
    // Runs as a user other than root who can read the file.
    await chmod(directory, 0o755);
    const words = ['--reuid=65534', '--regid=65534', '--clear-groups', 'sh', installer];
    await expect(run('setpriv', words)).rejects.toMatchObject({
      stderr: expect.stringContaining('must be root') as string,
    });
  });

  it('is the same for each architecture, except for the required machine', async () => {
    const tarball = await make('tarball', 'arm64', 'tarball-arm64');
    const other = join(directory, 'other');
    await mkdir(other);
    await run('tar', ['-C', other, '-xzf', tarball, '--strip-components=1']);
    expect(await readFile(join(other, 'machine'), 'utf8')).toBe('aarch64\n');
    await cp(join(dirname(installer), 'machine'), join(other, 'machine'));
    expect(await files(other)).toEqual(await files(dirname(installer)));
  });
});
