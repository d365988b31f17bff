import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { CHECKS } from '../../src/doctor/checks';
import type { DoctorReport, Line } from '../../src/doctor/report';
import { Command, type Environment } from './support/command';
import { sharedDockerHost } from './support/engine';
import { EngineProxy, onCalls } from './support/engine-proxy';

jest.setTimeout(300_000);

let directory: string;
/** Ends what a test has started, in reverse order. */
let started: (() => Promise<void>)[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-broken-'));
  started = [];
});
afterEach(async () => {
  for (const end of started.reverse()) await end();
  await rm(directory, { recursive: true, force: true });
});

interface Given {
  readonly args?: readonly string[];
  readonly env?: Environment;
  /** A command that starts the doctor on the broken node. */
  readonly through?: readonly string[];
}

/** Returns the lines of a check on a node without dockbridge, unless the arguments name a running one. */
async function linesOf(check: string, { args = [], env = {}, through = [] }: Given): Promise<Line[]> {
  const place = (name: string): string => join(directory, name);
  const command = new Command(
    [
      // On a busy machine, an answer takes a long time.
      ...['doctor', '-o', 'json', '--timeout', '40s', '--docker-endpoint', sharedDockerHost()],
      ...['--container-runtime-endpoint', `unix://${place('none.sock')}`, '--state-dir', place('state')],
      ...['--cni-conf-dir', place('net.d'), '--network-plugin', 'no-op', ...args],
    ],
    env,
    through,
  );
  await command.exit();
  expect(command.stderr).toBe('');
  const { checks } = JSON.parse(command.stdout) as DoctorReport;
  return checks.filter((line) => line.check === check);
}

/** Starts a process with this name, which lasts as long as the test: it waits for a line that nobody writes. */
async function pretend(name: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', 'read line', name, ...args], { argv0: name });
  await once(child, 'spawn');
  started.push(async () => {
    const gone = once(child, 'exit');
    child.kill();
    await gone;
  });
  return child;
}

/** Returns the endpoint of an Engine whose clock is two minutes late. */
async function lateEngine(): Promise<string> {
  const { pathname: socketPath } = new URL(sharedDockerHost());
  const server = createServer((message, reply) => {
    const { url: path, headers } = message;
    request({ socketPath, path, headers }, (answer) => {
      void text(answer).then((body) => {
        const late = body.replace(
          /"SystemTime":"([^"]*)"/,
          (_, time: string) => `"SystemTime":"${new Date(Date.parse(time) - 120_000).toISOString()}"`,
        );
        reply.writeHead(answer.statusCode ?? 500, { 'content-type': 'application/json' }).end(late);
      });
    }).end();
  });
  const path = join(directory, 'late.sock');
  server.listen(path);
  await once(server, 'listening');
  started.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `unix://${path}`;
}

interface Broken {
  readonly level: 'warn' | 'fail';
  readonly found: RegExp;
  readonly cure: RegExp;
  /** Breaks the node. */
  readonly given: () => Given | Promise<Given>;
}

/** One broken node for each check, on which the check finds its fault. */
const BROKEN: Readonly<Record<string, Broken>> = {
  rights: {
    ...{ level: 'warn', found: /^the doctor runs as user 65534/, cure: /^Run it as root/ },
    // An ID that is not mapped in the namespace.
    given: () => ({ through: ['unshare', '--user'] }),
  },
  configuration: {
    ...{ level: 'fail', found: /c\.yaml:2: there is no option "no-such"/, cure: /dockbridge config check/ },
    given: async () => {
      const file = join(directory, 'c.yaml');
      await writeFile(file, 'log-level: info\nno-such: 1\n');
      return { env: { DOCKBRIDGE_CONFIG: file } };
    },
  },
  'cri-dockerd': {
    ...{
      level: 'warn',
      found: /^cri-dockerd is running .*dockbridge is not running/,
      cure: /dockbridge switch check/,
    },
    given: async () => {
      await pretend('cri-dockerd', ['--network-plugin=cni']);
      return {};
    },
  },
  crictl: {
    ...{
      level: 'warn',
      found:
        /^crictl asks unix:\/\/\/run\/other\.sock \(\/etc\/crictl\.yaml\), but dockbridge listens on unix:.*none\.sock/,
      cure: /^Put this line into \/etc\/crictl\.yaml:\nruntime-endpoint: unix:.*none\.sock/,
    },
    given: () => {
      // The node may have no such file, so the doctor gets an /etc of its own, without the certificates of
      // this machine.
      const etc =
        'mount -t tmpfs tmpfs /etc && echo "runtime-endpoint: unix:///run/other.sock" >/etc/crictl.yaml && unset NODE_EXTRA_CA_CERTS && exec "$@"';
      return { through: ['unshare', '--mount', 'sh', '-c', etc, 'sh'] };
    },
  },
  'live-restore': {
    // The Engine of all tests has the default, which is off.
    ...{
      level: 'warn',
      found: /^live-restore is off/,
      cure: /"live-restore": true.*systemctl reload docker/,
    },
    given: () => ({}),
  },
  'daemon-json': {
    ...{
      level: 'fail',
      found: /daemon\.json is not a JSON object/,
      cure: /dockerd --validate --config-file \S+/,
    },
    given: async () => {
      const file = join(directory, 'daemon.json');
      await writeFile(file, '{ "log-driver": "json-file", }');
      const address = `unix://${directory}/docker.sock`;
      await pretend('dockerd', ['--host', address, '--config-file', file]);
      return { args: ['--docker-endpoint', address] };
    },
  },
  'pause-image': {
    ...{ level: 'warn', found: /^nowhere\.test\/pause:9 is missing.*no pod can start/, cure: /^docker pull/ },
    given: async () => {
      const proxy = await EngineProxy.start(sharedDockerHost());
      started.push(() => proxy.stop());
      proxy.obey(onCalls(/^GET \/(v[\d.]+\/)?images\/.*\/json$/, { kind: 'fail', status: 404 }));
      await mkdir(join(directory, 'empty'));
      // Stands for a program that was built without the pause image.
      const hide = `mount --bind ${directory}/empty ${join(__dirname, '../../dist/pause')} && exec "$@"`;
      return {
        args: ['--docker-endpoint', proxy.dockerHost, '--pod-infra-container-image', 'nowhere.test/pause:9'],
        through: ['unshare', '--mount', 'sh', '-c', hide, 'sh'],
      };
    },
  },
  clock: {
    ...{ level: 'fail', found: /^the Engine's clock is 1[12]\d s behind ours/, cure: /NTP/ },
    given: async () => ({ args: ['--docker-endpoint', await lateEngine()] }),
  },
  programs: {
    ...{ level: 'fail', found: /^nsenter is missing: port-forward/, cure: /^apt install util-linux/ },
    given: async () => {
      // A file that nobody may execute, in place of the node's.
      const file = join(directory, 'nsenter');
      await writeFile(file, '');
      const hide = `mount --bind ${file} "$(command -v nsenter)" && exec "$@"`;
      return { through: ['unshare', '--mount', 'sh', '-c', hide, 'sh'] };
    },
  },
  'open-files': {
    ...{ level: 'warn', found: /may open 200 files, fewer than/, cure: /LimitNOFILE=1048576/ },
    given: () => ({ through: ['prlimit', '--nofile=200:200'] }),
  },
  inotify: {
    ...{
      level: 'fail',
      found: /^no more directories can be watched \(EMFILE/,
      cure: /max_user_instances = 8192/,
    },
    given: () => {
      const none = 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"';
      return { through: ['unshare', '--user', '--map-root-user', 'sh', '-c', none, 'sh'] };
    },
  },
};

/** Further failures of checks. */
const MORE: readonly (readonly [check: string, broken: Broken])[] = [
  [
    'kubelet-stats',
    {
      ...{ level: 'fail', found: /^kubelet's configuration cannot be read/, cure: /^Fix the file/ },
      given: async () => {
        const file = join(directory, 'kubelet.yaml');
        await writeFile(file, 'featureGates: [\n');
        return { args: ['--kubelet-config', file] };
      },
    },
  ],
  [
    'kubelet-endpoint',
    {
      ...{
        level: 'fail',
        found: /^kubelet uses its built-in dockershim/,
        cure: /--container-runtime=remote/,
      },
      given: async () => {
        await pretend('kubelet', ['--container-runtime=docker']);
        return {};
      },
    },
  ],
  [
    'cri-socket',
    {
      ...{ level: 'fail', found: /dead\.sock does not answer/, cure: /systemctl start dockbridge/ },
      given: async () => {
        const socket = join(directory, 'dead.sock');
        const server = createSocket().listen(socket);
        await once(server, 'listening');
        // libuv removes the name of what it closes.
        await rename(socket, `${socket}.kept`);
        server.close();
        await rename(`${socket}.kept`, socket);
        return { args: ['--container-runtime-endpoint', `unix://${socket}`] };
      },
    },
  ],
  [
    'engine',
    {
      ...{
        level: 'fail',
        found: /^Docker Engine [\d.]+\S* answers, but not to \/info/,
        cure: /what dockerd is waiting for/,
      },
      given: async () => {
        const proxy = await EngineProxy.start(sharedDockerHost());
        started.push(() => proxy.stop());
        proxy.obey(onCalls(/^GET \/(v[\d.]+\/)?info$/, { kind: 'fail', status: 500 }));
        return { args: ['--docker-endpoint', proxy.dockerHost] };
      },
    },
  ],
  [
    'disk',
    {
      ...{ level: 'fail', found: /\/state cannot be examined: stat: .*symbolic links$/, cure: /dmesg/ },
      given: async () => {
        await symlink('state', join(directory, 'state'));
        return {};
      },
    },
  ],
];

/** doctor.test.ts and doctor-daemon.test.ts have the broken nodes of these checks. */
const ELSEWHERE = [
  ...['kubelet-stats', 'kubelet-endpoint', 'cgroup-driver', 'cri-socket', 'engine', 'cni', 'disk'],
];

it('every check has a broken node', () => {
  expect([...Object.keys(BROKEN), ...ELSEWHERE].sort()).toEqual(CHECKS.map(({ id }) => id).sort());
});

it.each([...Object.entries(BROKEN), ...MORE])(
  'the check %s reports the fault and its remedy',
  async (check, broken) => {
    const { level, found, cure, given } = broken;
    expect(await linesOf(check, await given())).toContainEqual({
      ...{ check, level, link: `docs/troubleshooting.md#${check}` },
      found: expect.stringMatching(found) as string,
      cure: expect.stringMatching(cure) as string,
    });
  },
);

describe('the doctor on a node whose daemon has its socket from systemd, and the endpoint fd://', () => {
  let daemon: Command;
  let socket: string;

  beforeEach(async () => {
    socket = join(directory, 'unit.sock');
    const bound = createSocket().listen(socket);
    await once(bound, 'listening');
    const place = (name: string): string => join(directory, name);
    daemon = new Command(
      [
        ...['serve', '--container-runtime-endpoint', 'fd://', '--docker-endpoint', sharedDockerHost()],
        ...['--state-dir', place('state'), '--run-dir', place('run'), '--network-plugin', 'no-op'],
        ...['--cri-dockerd-root-directory', place('cri-dockerd')],
      ],
      {},
      [],
      undefined,
      (bound as unknown as { _handle: { fd: number } })._handle.fd,
    );
    started.push(() => daemon.kill());
    // libuv removes the name of a socket that it closes, so the socket is moved away meanwhile.
    await rename(socket, `${socket}.kept`);
    bound.close();
    await rename(`${socket}.kept`, socket);
    await daemon.says('Connected to Docker Engine');
  });

  /** Runs the doctor without `--container-runtime-endpoint`, so the daemon's value applies. */
  const examine = async (...args: string[]): Promise<readonly Line[]> => {
    const command = new Command(['doctor', '-o', 'json', '--timeout', '40s', ...args]);
    await command.exit();
    return (JSON.parse(command.stdout) as DoctorReport).checks;
  };

  it("examines the unit's socket, and compares kubelet's endpoint with it", async () => {
    const kubelet = join(directory, 'kubelet.yaml');
    const head = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';
    await writeFile(kubelet, `${head}containerRuntimeEndpoint: unix://${socket}\n`);
    const checks = await examine('--kubelet-config', kubelet);
    const of = (id: string): object | undefined => checks.find(({ check }) => check === id);
    expect(of('kubelet-endpoint')).toMatchObject({
      level: 'ok',
      found: expect.stringContaining(`kubelet uses unix://${socket}, on which dockbridge listens`) as string,
    });
    // The test made this socket, so its mode may differ from SocketMode=0660 of the unit.
    expect(of('cri-socket')).toMatchObject({
      found: expect.stringMatching(new RegExp(`^${socket} (answers: dockbridge|has mode)`)) as string,
    });
    await writeFile(kubelet, `${head}containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n`);
    expect(
      (await examine('--kubelet-config', kubelet)).find(({ check }) => check === 'kubelet-endpoint'),
    ).toEqual(
      expect.objectContaining({
        level: 'fail',
        found: expect.stringContaining(`dockbridge listens on unix://${socket}`) as string,
      }),
    );
  });

  it('finds a cri-dockerd that wants the same socket', async () => {
    await pretend('cri-dockerd', ['--container-runtime-endpoint', `unix://${socket}`]);
    expect((await examine()).find(({ check }) => check === 'cri-dockerd')).toMatchObject({
      level: 'fail',
      found: expect.stringMatching(/beside dockbridge, with the same socket/) as string,
      cure: expect.stringMatching(/systemctl disable --now cri-docker\.socket/) as string,
    });
  });
});
