import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../unit/support/async';
import { Command } from './support/command';
import { sharedDockerHost } from './support/engine';
import { Serving } from './support/serving';

const run = promisify(execFile);
const serving = new Serving();

/** The lines of a unit that start and reload the service, as systemd would carry them out. */
interface Unit {
  readonly start: readonly string[];
  readonly reload: string;
}

function read(unit: string): Unit {
  const valueOf = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1] ?? '';
  // No quotes in these.
  const [, ...start] = valueOf('ExecStart').split(' ').filter(Boolean);
  return { start, reload: valueOf('ExecReload') };
}

/** What the units of cri-dockerd say that is of consequence: its own, kubespray's and RKE's container. */
const CRI_DOCKERD = (start: string): string =>
  `[Service]\nType=notify\nExecStart=/usr/bin/cri-dockerd ${start}\nExecReload=/bin/kill -s HUP $MAINPID\nKillMode=process\n`;

/** Starts, reloads and stops it. */
async function live(unit: Unit, command: Command, more: readonly string[] = []): Promise<Command> {
  const endpoint = `unix://${serving.socket()}`;
  await command.says('Serving CRI');
  await command.says('Connected to Docker Engine');
  await serving.expectServes(endpoint);
  expect(unit.reload).toContain('$MAINPID');
  await run('/bin/sh', ['-c', unit.reload], { env: { MAINPID: String(command.pid) } });
  await command.says('The configuration was read again');
  await serving.expectServes(endpoint);
  for (const line of more) await command.says(line);
  command.signal('SIGTERM');
  expect(await command.exit()).toBe(0);
  return command;
}

describe('start, reload and stop by the lines of a unit', () => {
  it("dockbridge's own, with its options in variables", async () => {
    const text = await readFile(join(__dirname, '../../packaging/systemd/dockbridge.service'), 'utf8');
    const unit = read(text);
    const config = join(serving.directory, 'config.yaml');
    await writeFile(config, 'network-plugin: no-op\n');
    const command = serving.start(unit.start, {
      DOCKBRIDGE_CONFIG: config,
      DOCKBRIDGE_CONTAINER_RUNTIME_ENDPOINT: `unix://${serving.socket()}`,
      DOCKBRIDGE_DOCKER_ENDPOINT: sharedDockerHost(),
      DOCKBRIDGE_STATE_DIR: join(serving.directory, 'state'),
    });
    await live(unit, command);
  });

  it.each([
    [
      "kubespray's",
      '--container-runtime-endpoint SOCKET --cni-conf-dir=/etc/cni/net.d --cni-bin-dir=/opt/cni/bin --network-plugin=no-op ' +
        '--pod-cidr=10.233.64.0/18 --pod-infra-container-image=registry.k8s.io/pause:3.10 --log-level info --ipv6-dual-stack=True',
    ],
    [
      "RKE's",
      '--network-plugin=no-op --cni-conf-dir=/etc/cni/net.d --cni-bin-dir=/opt/cni/bin --container-runtime-endpoint=SOCKET ' +
        '--pod-infra-container-image=rancher/mirrored-pause:3.7 --streaming-bind-addr=127.0.0.1',
    ],
  ])('%s for cri-dockerd', async (_, flags) => {
    const unit = read(CRI_DOCKERD(flags.replace('SOCKET', `unix://${serving.socket()}`)));
    const state = {
      DOCKBRIDGE_STATE_DIR: join(serving.directory, 'state'),
      DOCKBRIDGE_DOCKER_ENDPOINT: sharedDockerHost(),
    };
    await live(unit, serving.start(unit.start, state));
  });

  it("cri-dockerd's own, with the socket that systemd holds", async () => {
    const unit = read(CRI_DOCKERD('--container-runtime-endpoint fd://'));
    const socket = serving.socket();
    await mkdir(dirname(socket));
    const options = [
      ['STATE_DIR', join(serving.directory, 'state')],
      ['RUN_DIR', join(serving.directory, 'run-dir')],
      ['DOCKER_ENDPOINT', sharedDockerHost()],
      ['NETWORK_PLUGIN', 'no-op'],
      ['CONFIG', ''],
    ].flatMap(([name = '', value = '']) => ['-E', `DOCKBRIDGE_${name}=${value}`]);
    const command = new Command(unit.start, {}, [
      '/usr/bin/systemd-socket-activate',
      '-l',
      socket,
      ...options,
    ]);
    try {
      // It starts the service when somebody connects, as the .socket unit does; the bytes are nobody's.
      await connected(socket);
      await live(unit, command);
    } finally {
      await command.kill();
    }
  });
});

/** Resolves once a connection was made and given up. */
async function connected(path: string): Promise<void> {
  await until(() => existsSync(path), 'the socket');
  const socket = connect(path);
  await once(socket, 'connect');
  socket.destroy();
}
