import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CriClient } from '../../src/server/client/cri-client';
import { DOCKBRIDGE_VERSION } from '../../src/release';
import { until } from '../unit/support/async';
import { Command } from './support/command';
import { sharedDockerHost } from './support/engine';
import { untilLogged } from './support/pods';
import { commandOf, readUnit } from './support/unit';

const run = promisify(execFile);
const PACKAGING = join(__dirname, '../../packaging');
const THEIRS = join(__dirname, '../fixtures/units');
const MAIN = join(__dirname, '../../dist/main.js');
const DOCKBRIDGE = [process.execPath, MAIN];

let directory: string;
let socket: string;
let notified: string;
let command: string;
let env: Record<string, string>;
let daemon: Command | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-units-'));
  socket = join(directory, 'cri-dockerd.sock');
  // This is the package's command with the program of this tree.
  command = join(directory, 'cri-dockerd');
  const packaged = await readFile(join(PACKAGING, 'cri-dockerd/cri-dockerd.sh'), 'utf8');
  const program = DOCKBRIDGE.join(' ');
  await writeFile(
    command,
    packaged
      .replace('/usr/lib/dockbridge/node /usr/lib/dockbridge/main.js', program)
      .replace('/usr/bin/dockbridge', program),
    { mode: 0o755 },
  );
  // A systemd-notify that records its arguments, because Node.js has no sockets of systemd's kind.
  notified = join(directory, 'notified');
  await writeFile(notified, '');
  await mkdir(join(directory, 'bin'));
  await writeFile(join(directory, 'bin/systemd-notify'), `#!/bin/sh\necho "$@" >>${notified}\n`, {
    mode: 0o755,
  });
  await mkdir(join(directory, 'net.d'));
  env = {
    PATH: `${join(directory, 'bin')}:${process.env.PATH ?? ''}`,
    NOTIFY_SOCKET: join(directory, 'notify.sock'),
    DOCKBRIDGE_DOCKER_ENDPOINT: sharedDockerHost(),
    DOCKBRIDGE_RUN_DIR: join(directory, 'run'),
    DOCKBRIDGE_STATE_DIR: join(directory, 'state'),
    DOCKBRIDGE_CNI_CONF_DIR: join(directory, 'net.d'),
    DOCKBRIDGE_CNI_CACHE_DIR: join(directory, 'cni-cache'),
  };
});
afterEach(async () => {
  await daemon?.kill();
  daemon = undefined;
  await rm(directory, { recursive: true, force: true });
});

/**
 * Passes the only descriptor of a socket to the daemon that `startWith` starts, as a socket unit does. The
 * file of the socket stays.
 */
async function throughSocketUnit<T>(startWith: (fd: number) => T): Promise<T> {
  const bound = createServer().listen(socket);
  await once(bound, 'listening');
  const started = startWith((bound as unknown as { _handle: { fd: number } })._handle.fd);
  // libuv removes the name of a socket that it closes, so the socket is moved away meanwhile.
  await rename(socket, `${socket}.kept`);
  bound.close();
  await rename(`${socket}.kept`, socket);
  return started;
}

interface Started {
  readonly main: Command;
  /** Reloads as `systemctl reload` does. */
  readonly reload: () => Promise<unknown>;
}

/**
 * Starts the unit's command with the test's own paths in place of the node's. @param given a socket unit's
 * socket, or a command that executes the unit's.
 */
function start(files: readonly string[], given: { fd?: number; through?: readonly string[] } = {}): Started {
  const service = readUnit('Service', files);
  const [program, ...words] = commandOf(service, 'ExecStart');
  const isDockbridge = program === '/usr/bin/dockbridge';
  if (!isDockbridge) expect(program).toMatch(/\/bin\/cri-dockerd$/);
  const args = words.map((word) =>
    word
      .replace('/var/run/cri-dockerd.sock', socket)
      .replace('/var/lib/cri-dockerd', join(directory, 'root')),
  );
  const main = new Command(args, env, given.through, isDockbridge ? DOCKBRIDGE : [command], given.fd);
  daemon = main;
  const [kill, ...rest] = commandOf(service, 'ExecReload');
  const reload = (): Promise<unknown> =>
    run(
      kill,
      rest.map((word) => word.replace('$MAINPID', String(main.pid))),
    );
  return { main, reload };
}

/** Checks that the daemon serves, continues after a reload, and ends on request. */
async function liveAndEnd(
  { main, reload }: Started,
  whileServing?: (client: CriClient) => Promise<void>,
): Promise<void> {
  await main.says('Connected to Docker Engine');
  const client = new CriClient(`unix://${socket}`);
  try {
    expect((await client.call('Version', {})).runtime_name).toBe('docker');
    await whileServing?.(client);
    await reload();
    await main.says('The configuration was read again');
    expect((await client.call('Version', {})).runtime_name).toBe('docker');
  } finally {
    client.close();
  }
  main.signal('SIGTERM');
  expect(await main.exit()).toBe(0);
}

async function networkReady(client: CriClient): Promise<boolean | undefined> {
  const { status } = await client.call('Status', {});
  return status?.conditions.find(({ type }) => type === 'NetworkReady')?.status;
}

/** Returns the path of a unit. A name with a folder belongs to our packages. */
const unit = (name: string): string => join(name.includes('/') ? PACKAGING : THEIRS, name);

describe('dockbridge starts, reloads and stops', () => {
  it.each([
    ["cri-dockerd's own unit", ['cri-docker.service'], true],
    ["cri-dockerd's own unit and minikube's drop-in", ['cri-docker.service', '10-cni.conf'], false],
    ["the package's unit in its place", ['cri-dockerd/cri-docker.service'], false],
    [
      "the package's unit in its place and minikube's drop-in",
      ['cri-dockerd/cri-docker.service', '10-cni.conf'],
      false,
    ],
    ["kubespray's unit, which names the path of its socket unit", ['kubespray.service'], undefined],
    ["RKE's flags and a socket unit", ['rke.service'], undefined],
  ])('with %s', async (_whose, files, ready) => {
    const started = await throughSocketUnit((fd) => start(files.map(unit), { fd }));
    const { main } = started;
    const before = lstatSync(socket).ino;
    await untilLogged(notified, `--ready --pid=${main.pid}`);
    // Programs that the daemon starts must not inherit the socket, because a CNI plugin that lives on would keep
    // it.
    expect(await readFile(`/proc/${main.pid}/fdinfo/3`, 'utf8')).toMatch(/^flags:\s*0?2[0-7]{6}$/m);
    await liveAndEnd(started, async (client) => {
      if (ready !== undefined) expect(await networkReady(client)).toBe(ready);
    });
    expect(await readFile(notified, 'utf8')).toContain(`STOPPING=1 --pid=${main.pid}`);
    // The socket is systemd's, so later calls wait for the next daemon.
    expect(lstatSync(socket).ino).toBe(before);
  });

  it.each([
    ["RKE's", 'rke.service'],
    ["kubespray's", 'kubespray.service'],
  ])('without a socket unit, with %s flags, which name the path of the socket', async (_whose, file) => {
    await liveAndEnd(start([unit(file)]));
    expect(() => lstatSync(socket)).toThrow('ENOENT');
  });

  it('with its own unit, and its options in variables and in a file', async () => {
    const config = join(directory, 'config.yaml');
    await writeFile(config, `network-plugin: no-op\ncontainer-runtime-endpoint: unix://${socket}\n`);
    env = { ...env, DOCKBRIDGE_CONFIG: config };
    await liveAndEnd(start([unit('systemd/dockbridge.service')]), async (client) => {
      expect(await networkReady(client)).toBe(true);
    });
    expect(await readFile(notified, 'utf8')).toContain('--ready --pid=');
    expect(() => lstatSync(socket)).toThrow('ENOENT');
  });

  it("with cri-dockerd's own unit, and a socket that systemd makes", async () => {
    const variables = Object.entries({ ...env, DOCKBRIDGE_CONFIG: '' });
    const through = ['/usr/bin/systemd-socket-activate', '-l', socket];
    for (const [name, value] of variables) through.push('-E', `${name}=${value}`);
    const started = start([unit('cri-docker.service')], { through });
    // systemd-socket-activate starts the service when somebody connects, as the .socket unit does.
    // The socket has its name before it listens; SO_ACCEPTCON (10000) is the flag of one that listens.
    const listens = new RegExp(` 00010000 .* ${socket}$`, 'm');
    await until(() => listens.test(readFileSync('/proc/net/unix', 'utf8')), 'the socket');
    const caller = connect(socket);
    await once(caller, 'connect');
    caller.destroy();
    await liveAndEnd(started);
  });
});

describe("systemd's watchdog", () => {
  const signs = async (): Promise<number> =>
    (await readFile(notified, 'utf8')).split('WATCHDOG=1').length - 1;

  it.each([
    ['while the Engine answers', () => sharedDockerHost()],
    ['while there is no Engine', () => `unix://${join(directory, 'no-engine.sock')}`],
  ])('gets signs of life repeatedly %s', async (_when, engine) => {
    env = { ...env, WATCHDOG_USEC: '1000000', DOCKBRIDGE_DOCKER_ENDPOINT: engine() };
    const { main } = start([unit('rke.service')]);
    await untilLogged(notified, 'WATCHDOG=1');
    const first = await signs();
    await untilLogged(notified, `WATCHDOG=1 --pid=${main.pid}\n`.repeat(first + 2));
    main.signal('SIGTERM');
    expect(await main.exit()).toBe(0);
  });

  it('gets no sign of life if the unit does not want any', async () => {
    const { main } = start([unit('rke.service')]);
    await main.says('Connected to Docker Engine');
    main.signal('SIGTERM');
    expect(await main.exit()).toBe(0);
    expect(await signs()).toBe(0);
  });
});

describe("cri-dockerd's command", () => {
  it('prints its version in the form that scripts parse', async () => {
    const { stdout } = await run(command, ['--version']);
    expect(stdout).toBe(`cri-dockerd ${DOCKBRIDGE_VERSION} (dockbridge)\n`);
    expect(stdout).toMatch(/^cri-dockerd \d+\.\d+\.\d+\S* \(\S+\)$/m);
  });

  it('explains the flags, and refuses unknown ones', async () => {
    expect((await run(command, ['--help'])).stdout).toContain('--pod-infra-container-image');
    await expect(run(command, ['--no-such-flag'])).rejects.toMatchObject({ code: 1 });
  });
});
