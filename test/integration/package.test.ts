import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { OPTIONS } from '../../src/config/options';
import { CriClient } from '../../src/server/client/cri-client';
import { SpdyClient } from '../fakes/streaming-client';
import { TraceCollector } from '../fakes/trace-collector';
import { Command } from './support/command';
import { sharedDockerHost, TEST_IMAGE } from './support/engine';
import { filesLoadedByServe } from './support/loaded-files';
import { untilLogged } from './support/pods';

const run = promisify(execFile);
const ROOT = join(__dirname, '../..');
const ARCH = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;

interface Component {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly hashes?: readonly { readonly content: string }[];
  readonly components?: readonly Component[];
}
interface Bill {
  readonly bomFormat: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly dependsOn: readonly string[] }[];
}

let directory: string;
let lib: string;
let deb: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-package-'));
  lib = join(directory, 'tree/usr/lib/dockbridge');
  const env = { ...process.env, COMPRESSION: 'none' };
  await run('bash', [join(ROOT, 'packaging/deb.sh'), ARCH, directory], { timeout: 300_000, env });
  const [name = ''] = (await readdir(directory)).filter((file) => file.endsWith('.deb'));
  deb = join(directory, name);
  await run('dpkg-deb', ['-x', deb, join(directory, 'tree')]);
}, 320_000);
afterAll(() => rm(directory, { recursive: true, force: true }));

/** The files of the main thread: the command line, the daemon, and all other commands. */
const PROGRAM = ['main.js', 'serve.js', 'commands.js'];

async function sourcesOfProgram(): Promise<string[]> {
  const maps = await Promise.all(PROGRAM.map((name) => readFile(join(lib, `${name}.map`), 'utf8')));
  return maps.flatMap((text) => (JSON.parse(text) as { sources: string[] }).sources);
}

const packaged = (args: readonly string[]): Command =>
  new Command(
    args,
    { DOCKBRIDGE_RUN_DIR: join(directory, 'run') },
    [],
    [join(lib, 'node'), join(lib, 'main.js')],
  );

describe('the contents of a package', () => {
  it('run a pod with their own Node.js: log, exec, stats and port-forward, each in its thread or process', async () => {
    const socket = `unix://${join(directory, 'cri.sock')}`;
    const daemon = packaged([
      ...['serve', '--container-runtime-endpoint', socket, '--docker-endpoint', sharedDockerHost()],
      ...['--state-dir', join(directory, 'state'), '--network-plugin', 'no-op'],
    ]);
    const client = new CriClient(socket);
    try {
      await daemon.says('Connected to Docker Engine');
      expect(await readlink(`/proc/${daemon.pid}/exe`)).toBe(join(lib, 'node'));
      const config = {
        metadata: { name: 'packaged', uid: 'packaged', namespace: 'test', attempt: 0 },
        log_directory: join(directory, 'logs'),
        linux: {},
      };
      const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
      const script =
        'httpd -p 8080 -h /www; dd if=/dev/zero of=/filled bs=1M count=4 2>/dev/null; echo ready; exec sleep 1000';
      const { container_id } = await client.call('CreateContainer', {
        pod_sandbox_id,
        sandbox_config: config,
        config: {
          metadata: { name: 'main', attempt: 0 },
          image: { image: TEST_IMAGE },
          command: ['/bin/sh', '-c', script],
          log_path: 'main.log',
          linux: {},
        },
      });
      await client.call('StartContainer', { container_id });
      const log = join(directory, 'logs/main.log');
      await untilLogged(log, 'ready');
      expect(await readFile(log, 'utf8')).toMatch(/^\S+ stdout F ready\n$/);
      const { stdout } = await client.call('ExecSync', { container_id, cmd: ['echo', 'hello'], timeout: 20 });
      expect(Buffer.from(stdout).toString()).toBe('hello\n');
      const { stats } = await client.call('ContainerStats', { container_id });
      expect(Number(stats?.memory?.working_set_bytes?.value)).toBeGreaterThan(0);
      const { url } = await client.call('PortForward', { pod_sandbox_id, port: [] });
      const forwarder = await SpdyClient.dial(url, 'portforward.k8s.io');
      const { data } = forwarder.forward(8080, 0);
      data.end('GET / HTTP/1.0\r\n\r\n');
      expect(await text(data)).toMatch(/200 OK[^]*ok\n$/);
      forwarder.close();
      const tasks = await readdir(`/proc/${daemon.pid}/task`);
      const names = await Promise.all(
        tasks.map((task) => readFile(`/proc/${daemon.pid}/task/${task}/comm`, 'utf8').catch(() => '')),
      );
      expect(names).toContain('dockbridge-logs\n');
      await client.call('RemovePodSandbox', { pod_sandbox_id });
      expect(daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
      daemon.signal('SIGTERM');
      expect(await daemon.exit()).toBe(0);
    } finally {
      client.close();
      await daemon.kill();
    }
  });

  it.each([
    [['--version']],
    [['doctor', '--help']],
    [['switch', 'check', '--help']],
    [['hand-over', '--help']],
  ])('include every file that %j loads', async (args) => {
    const command = packaged(args);
    expect(await command.exit()).toBe(0);
    expect(command.stderr).toBe('');
  });

  it('can trace with the files next to the program', async () => {
    const collector = await TraceCollector.start();
    const socket = `unix://${join(directory, 'traced.sock')}`;
    const traced = ['OTEL_BSP_SCHEDULE_DELAY=50', `OTEL_EXPORTER_OTLP_ENDPOINT=${collector.endpoint}`];
    const daemon = new Command(
      [
        ...['serve', '--container-runtime-endpoint', socket, '--network-plugin', 'no-op'],
        ...['--docker-endpoint', `unix://${join(directory, 'none.sock')}`],
        ...['--state-dir', join(directory, 'traced-state'), '--run-dir', join(directory, 'traced-run')],
      ],
      {},
      ['env', ...traced],
      [join(lib, 'node'), join(lib, 'main.js')],
    );
    try {
      await daemon.says('Serving CRI');
      const client = new CriClient(socket);
      await client.call('Status', {});
      client.close();
      const { resource } = await collector.span('runtime.v1.RuntimeService/Status');
      expect(resource['service.name']).toBe('dockbridge');
    } finally {
      daemon.signal('SIGTERM');
      await daemon.exit();
      await collector.close();
    }
  });

  it('include a configuration file with all options as comments, which the program reads, and an empty config.d', async () => {
    const file = join(directory, 'tree/etc/dockbridge/config.yaml');
    const written = packaged(['config', 'default']);
    expect(await written.exit()).toBe(0);
    expect(await readFile(file, 'utf8')).toBe(written.stdout);
    expect(await readdir(join(directory, 'tree/etc/dockbridge/config.d'))).toEqual([]);
    const checked = packaged(['config', 'check', '--config', file]);
    expect(await checked.exit()).toBe(0);
    const changed = join(directory, 'changed.yaml');
    await writeFile(changed, written.stdout.replace(/^#(log-level: ).*$/m, '$1debug'));
    const shown = packaged(['config', 'show', '--config', changed]);
    expect(await shown.exit()).toBe(0);
    expect(shown.stdout).toMatch(/^log-level +debug +\S+\/changed\.yaml:\d+$/m);
  });

  it('complete the names and options of all commands in bash', async () => {
    const script = join(directory, 'tree/usr/share/bash-completion/completions/dockbridge');
    const completed = async (...words: string[]): Promise<string[]> => {
      const complete =
        'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dockbridge; printf "%s\\n" "${COMPREPLY[@]}"';
      const { stdout } = await run('bash', ['-c', complete, script, 'dockbridge', ...words]);
      return stdout.trim().split('\n');
    };
    expect(await completed('c')).toEqual(['config', 'cri']);
    expect(await completed('config', '')).toEqual(['default', 'check', 'show', '--help']);
    expect(await completed('switch', '')).toEqual(['check', '--help']);
    expect(await completed('config', 'show', '--out')).toEqual(['--output']);
    expect(await completed('switch', 'check', '--out')).toEqual(['--output']);
    expect(await completed('doctor', '--bun')).toEqual(['--bundle']);
  });

  it('name all settings files in the manual page', async () => {
    const page = gunzipSync(await readFile(join(directory, 'tree/usr/share/man/man8/dockbridge.8.gz')));
    for (const path of [
      '/etc/dockbridge/config.yaml',
      '/etc/dockbridge/config.d/*.yaml',
      '/etc/default/dockbridge',
    ])
      expect(page.toString()).toContain(`.I ${path}\n`);
  });

  it('keep all other commands out of the memory of the daemon', async () => {
    const program = [join(lib, 'node'), join(lib, 'main.js')];
    const files = await filesLoadedByServe(await mkdtemp(join(directory, 'loaded-')), program);
    expect(files.map((file) => relative(lib, file)).sort()).toEqual(['main.js', 'serve.js']);
  });

  it('include program, unit, settings, manual page, completions, manuals and licences', async () => {
    const { stdout } = await run('find', [join(directory, 'tree'), '-type', 'f', '-printf', '%m %P\n']);
    expect(
      stdout
        .split('\n')
        .filter((line) => !line.includes('/doc/'))
        .sort(),
    ).toEqual([
      '',
      '644 etc/default/dockbridge',
      '644 etc/dockbridge/config.yaml',
      '644 lib/systemd/system/dockbridge.service',
      '644 lib/systemd/system/dockbridge.socket',
      '644 usr/lib/dockbridge/commands.js',
      '644 usr/lib/dockbridge/commands.js.map',
      '644 usr/lib/dockbridge/dial-helper.js',
      '644 usr/lib/dockbridge/dial-helper.js.map',
      '644 usr/lib/dockbridge/disk/worker-entry.js',
      '644 usr/lib/dockbridge/disk/worker-entry.js.map',
      '644 usr/lib/dockbridge/main.js',
      '644 usr/lib/dockbridge/main.js.map',
      '644 usr/lib/dockbridge/open-telemetry.js',
      '644 usr/lib/dockbridge/open-telemetry.js.map',
      '644 usr/lib/dockbridge/pause/pause.tar',
      '644 usr/lib/dockbridge/sbom.cdx.json',
      '644 usr/lib/dockbridge/serve.js',
      '644 usr/lib/dockbridge/serve.js.map',
      '644 usr/lib/dockbridge/tape-page.template',
      '644 usr/lib/dockbridge/tape/worker-entry.js',
      '644 usr/lib/dockbridge/tape/worker-entry.js.map',
      '644 usr/lib/dockbridge/worker-entry.js',
      '644 usr/lib/dockbridge/worker-entry.js.map',
      '644 usr/share/bash-completion/completions/dockbridge',
      '644 usr/share/lintian/overrides/dockbridge',
      '644 usr/share/man/man8/dockbridge.8.gz',
      '644 usr/share/zsh/vendor-completions/_dockbridge',
      '755 usr/bin/dockbridge',
      '755 usr/lib/dockbridge/node',
      '755 usr/lib/dockbridge/notify-helper',
    ]);
    const licences = gunzipSync(
      await readFile(join(directory, 'tree/usr/share/doc/dockbridge/licences.txt.gz')),
    ).toString();
    const { dependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const [name, version] of Object.entries(dependencies))
      expect(licences).toContain(`${name} ${version} (`);
  });

  it('include manuals whose links lead to existing files, examples, alerts and a dashboard', async () => {
    const doc = join(directory, 'tree/usr/share/doc/dockbridge');
    const files = await readdir(doc, { recursive: true });
    expect(files.filter((file) => /\.(ya?ml|json|conf|conflist|service)$/.test(file)).sort()).toEqual([
      'examples/20-dockbridge.conf',
      'examples/RuntimeClass.yaml',
      'examples/config.yaml',
      'examples/container.json',
      'examples/harness/faults.yaml',
      'examples/harness/github-workflow.yml',
      'examples/harness/rules.yaml',
      'examples/harness/scenario.yaml',
      'examples/kubelet-config.yaml',
      'examples/monitoring/dashboard.json',
      'examples/monitoring/rules.test.yaml',
      'examples/monitoring/rules.yaml',
      'examples/pod.json',
      'examples/standalone/10-bridge.conflist',
      'examples/standalone/kubelet-config.yaml',
      'examples/standalone/kubelet.service',
      'examples/standalone/web.yaml',
    ]);
    const pages = files.filter((file) => file.endsWith('.md.gz'));
    expect(pages).toEqual(expect.arrayContaining(['README.md.gz', 'troubleshooting.md.gz']));
    expect(pages.filter((page) => /^(architecture|testing|conformance|results)/.test(page))).toEqual([]);
    const texts = await Promise.all(
      pages.map(async (page) => gunzipSync(await readFile(join(doc, page))).toString()),
    );
    const links = texts.flatMap((page) => [...page.matchAll(/\]\(([^()\s#]+)[^()\s]*\)/g)]);
    const targets = links.map(([, target = '']) => target).filter((target) => !/^[a-z+.-]+:/.test(target));
    expect(targets).toEqual(expect.arrayContaining(['logs.md.gz', 'examples']));
    expect(targets.filter((target) => !files.includes(target))).toEqual([]);
    const examples = files.filter((file) => /^examples\/.*\./.test(file));
    texts.push(...(await Promise.all(examples.map((file) => readFile(join(doc, file), 'utf8')))));
    for (const name of PROGRAM) texts.push(await readFile(join(lib, name), 'utf8'));
    texts.push(
      gunzipSync(await readFile(join(directory, 'tree/usr/share/man/man8/dockbridge.8.gz'))).toString(),
    );
    const named = texts.flatMap((one) => [
      ...one.matchAll(/\/usr\/share\/doc\/dockbridge\/([\w/.-]+(?<=\w))/g),
    ]);
    const paths = new Set(named.map(([, path = '']) => path.replaceAll('\\', '')));
    expect([...paths]).toEqual(expect.arrayContaining(['troubleshooting.md.gz', 'examples/pod.json']));
    expect([...paths].filter((path) => !files.includes(path))).toEqual([]);
    // The repository's names of these pages would be dead links.
    const own = pages.map((page) => `docs/${page.replace(/\.gz$/, '')}`);
    expect(own.filter((name) => texts.some((one) => one.includes(name)))).toEqual([]);
  });

  describe('include a postinst script that', () => {
    /** Runs the script as dpkg does, with stand-ins for the commands of systemd. */
    const configure = async (...args: string[]): Promise<string[]> => {
      const control = join(directory, 'postinst');
      await run('dpkg-deb', ['-e', deb, control]);
      const bin = join(directory, 'bin');
      await mkdir(bin, { recursive: true });
      for (const name of ['systemctl', 'deb-systemd-invoke'])
        await writeFile(join(bin, name), '#!/bin/sh\n', { mode: 0o755 });
      const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
      const { stdout } = await run(join(control, 'postinst'), args, { env });
      return stdout.split('\n').filter((line) => line !== '');
    };

    it('prints the next steps in three lines, which the RPM prints too', async () => {
      const lines = await configure('configure', '');
      expect(lines).toEqual([
        expect.stringMatching(
          /\/etc\/dockbridge\/config\.d\/node\.yaml, then: systemctl enable --now dockbridge$/,
        ),
        expect.stringContaining('`dockbridge doctor`'),
        `kubelet needs --container-runtime-endpoint=${OPTIONS.endpoint.fallback}`,
      ]);
      const spec = await readFile(join(ROOT, 'packaging/rpm/dockbridge.spec'), 'utf8');
      expect(spec).toContain(lines.join('\n'));
    });

    it('prints nothing after an upgrade', async () =>
      expect(await configure('configure', '0.0.1')).toEqual([]));
  });

  it('include messages that name the installed manuals', async () => {
    const doctor = packaged(['doctor', '--output', 'json', '--docker-endpoint', 'unix:///none.sock']);
    await doctor.exit();
    const { checks } = JSON.parse(doctor.stdout) as { checks: { check: string; link: string }[] };
    expect(checks.find(({ check }) => check === 'engine')?.link).toBe(
      '/usr/share/doc/dockbridge/troubleshooting.md.gz#engine',
    );
  });

  it('include a bill of materials with all bundled packages, checksums, and Node.js with its built-in libraries', async () => {
    const text = await readFile(join(lib, 'sbom.cdx.json'), 'utf8');
    const { bomFormat, metadata, components, dependencies } = JSON.parse(text) as Bill;
    expect([bomFormat, metadata.component.name]).toEqual(['CycloneDX', 'dockbridge']);
    const sources = await sourcesOfProgram();
    // winston is a direct dependency and is marked as one. Its own dependencies are bundled as well.
    const bundled = new Set(
      sources.flatMap(
        (source) => /(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/.@][^/]*)/.exec(source)?.[1] ?? [],
      ),
    );
    expect(bundled.size).toBeGreaterThan(30);
    const named = new Map(components.map((component) => [component.name, component]));
    expect([...bundled].filter((name) => !named.has(name))).toEqual([]);
    for (const { hashes } of components) expect(hashes?.[0]?.content).toMatch(/^[0-9a-f]{64,128}$/);
    const { stdout } = await run(join(lib, 'node'), ['-p', 'JSON.stringify(process.versions)']);
    const versions = JSON.parse(stdout) as Record<string, string>;
    const node = named.get('node');
    expect(node?.version).toBe(versions.node);
    expect(node?.components?.find(({ name }) => name === 'openssl')?.version).toBe(versions.openssl);
    const refs = [...components, ...(node?.components ?? [])].map((component) => component['bom-ref']);
    expect(new Set(refs).size).toBe(refs.length);
    expect(dependencies.flatMap(({ dependsOn }) => dependsOn).filter((ref) => !refs.includes(ref))).toEqual(
      [],
    );
  });

  it('include version, architecture, settings and scripts for dpkg, and a source map with paths in the tree', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    const { stdout } = await run('dpkg-deb', ['-f', deb, 'Package', 'Version', 'Architecture']);
    expect(stdout).toBe(`Package: dockbridge\nVersion: ${version}\nArchitecture: ${ARCH}\n`);
    await run('dpkg-deb', ['-e', deb, join(directory, 'control')]);
    expect((await readdir(join(directory, 'control'))).sort()).toEqual([
      'conffiles',
      'control',
      'md5sums',
      'postinst',
      'postrm',
      'prerm',
    ]);
    expect(await readFile(join(directory, 'control/conffiles'), 'utf8')).toBe(
      '/etc/default/dockbridge\n/etc/dockbridge/config.yaml\n',
    );
    const sources = await sourcesOfProgram();
    expect(sources).toEqual(expect.arrayContaining(['src/main.ts', 'src/daemon.ts', 'src/cli/doctor.ts']));
    expect(sources.filter((source) => /^(\.\.|\/)/.test(source))).toEqual([]);
  });
});
