import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { parseMountinfo } from '../../../src/node/mountinfo';
import { CriClient } from '../../../src/server/client/cri-client';
import { removeCgroups } from './cgroups';
import { Command } from './command';

const run = promisify(execFile);
const MAIN = join(__dirname, '../../../dist/main.js');
const PARTS = join(__dirname, 'migrate-node');
const START_MS = 120_000;
const STOP_MS = 240_000;

/** The node's address in its network namespace, and the addresses of its pods. */
export const NODE_ADDRESS = '198.51.100.1';
const POD_SUBNET = '10.88.7.0/24';
const POD_ADDRESS = /10\.88\.7\.\d+\/32|CNI-(DN-)?[0-9a-f]{10,}/;
const NETWORK = 'pods';

/** A registry without TLS, which is the mirror of Docker Hub, too. */
export const REGISTRY = `${NODE_ADDRESS}:5000`;

export const OLD_ENDPOINT = '/run/cri-dockerd.sock';
export const NEW_ENDPOINT = '/run/containerd/containerd.sock';
export const DOCKER_SOCKET = '/run/docker.sock';

/** The parent of all pods' control groups. */
export const CGROUP_PARENT = `migrate-node-${process.pid}`;

/**
 * A whole node for `dockbridge migrate`: Engine 28.5, containerd 2.1, dockbridge with CNI, and a kubelet that does nothing.
 * It has mounts, a network and processes of its own, so that it can have /etc/docker, /run/containerd and /var/lib/kubelet on any
 * machine. When this process ends, the node ends too.
 */
export class MigrateNode {
  private constructor(
    readonly directory: string,
    private readonly init: ChildProcess,
    private readonly path: string,
  ) {}

  static async start({ daemonJson, isContainerdShared }: NodeOptions): Promise<MigrateNode> {
    const script = join(__dirname, '../../../scripts/engine-version.sh');
    const { stdout } = await run('bash', [script, '28.5'], { timeout: STOP_MS });
    const path = `${stdout.trim()}${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
    const directory = await mkdtemp('/var/tmp/dockbridge-migrate-node-');
    for (const [name, text] of Object.entries(filesOf(directory, daemonJson, isContainerdShared))) {
      await mkdir(dirname(join(directory, 'node', name)), { recursive: true });
      await writeFile(join(directory, 'node', name), text);
    }
    await writeFile(join(directory, 'registry.yml'), registryConfig(directory));
    for (const name of ['init.sh', 'systemctl.sh']) await copyFile(join(PARTS, name), join(directory, name));
    const namespaces = ['--mount', '--propagation', 'slave', '--net', '--pid', '--fork', '--kill-child'];
    const init = spawn(
      'unshare',
      [...namespaces, '--mount-proc', 'bash', join(directory, 'init.sh'), directory, NODE_ADDRESS],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    const node = new MigrateNode(directory, init, path);
    try {
      await node.untilReady();
      const units = ['docker.socket', 'docker.service', 'dockbridge.service', 'kubelet.service'];
      for (const unit of isContainerdShared ? ['containerd.service', ...units] : units)
        await node.systemctl('enable', '--now', unit);
      await node.systemctl('start', 'registry.service');
      await node.run(
        'bash',
        '-c',
        `until : </dev/tcp/${REGISTRY.replace(':', '/')}; do sleep 0.1; done 2>/dev/null`,
      );
    } catch (error) {
      await node.stop();
      throw error;
    }
    return node;
  }

  /** Returns the place of one of the node's files on this machine. The path must not contain absolute links, such as /var/run. */
  place(path: string): string {
    return join(`/proc/${this.pid}/root`, path);
  }

  /** Returns the link that names one of the node's own namespaces, such as `net`. */
  namespaceLink(kind: string): string {
    return `/proc/${this.pid}/ns/${kind}`;
  }

  get dockerHost(): string {
    return `unix://${this.place(DOCKER_SOCKET)}`;
  }

  /** Returns a client of the runtime at a socket of the node. The caller closes it. */
  client(socket: string): CriClient {
    return new CriClient(`unix://${this.place(socket)}`);
  }

  /** Runs `dockbridge …` on the node, as its administrator would. */
  async dockbridge(...args: readonly string[]): Promise<Ran> {
    const command = new Command(args, { PATH: this.path, HOME: '/root' }, this.through);
    const code = await command.exit();
    return { code, stdout: command.stdout, stderr: command.stderr };
  }

  /** The program for `--systemctl`. */
  get systemctlProgram(): string {
    return join(this.directory, 'systemctl.sh');
  }

  async systemctl(...args: readonly string[]): Promise<string> {
    return this.run(this.systemctlProgram, ...args);
  }

  /** Returns which units are active and enabled, such as `docker.service active enabled`. */
  async units(): Promise<string[]> {
    const names = [
      'containerd.service',
      'docker.socket',
      'docker.service',
      'dockbridge.service',
      'kubelet.service',
    ];
    const ask = async (question: string): Promise<string[]> =>
      // The exit code only tells whether any of them is.
      (await this.run('bash', '-c', `"$0" ${question} "$@" || true`, this.systemctlProgram, ...names))
        .trim()
        .split('\n');
    const [active, enabled] = [await ask('is-active'), await ask('is-enabled')];
    return names.map((name, at) => `${name} ${active[at] ?? ''} ${enabled[at] ?? ''}`);
  }

  /** Returns the standard output of a command on the node. */
  async run(...command: readonly string[]): Promise<string> {
    const [program = '', ...args] = [...this.through, ...command];
    const options = { timeout: STOP_MS, env: { ...process.env, PATH: this.path } };
    return (await run(program, args, options)).stdout;
  }

  /** Returns the hash of each file that configures the node, by path. */
  async configuration(): Promise<Readonly<Record<string, string>>> {
    const found: Record<string, string> = {};
    for (const top of ['/etc', '/var/lib/kubelet', '/usr/lib/systemd/system']) {
      const entries = await readdir(this.place(top), { recursive: true, withFileTypes: true });
      for (const entry of entries.filter((one) => one.isFile())) {
        const path = join(entry.parentPath, entry.name);
        const hash = createHash('sha256').update(await readFile(path));
        found[path.slice(this.place('/').length - 1)] = hash.digest('hex');
      }
    }
    return found;
  }

  /** Returns everything that pods have on the node; empty when no pod is left. */
  async traces(): Promise<string[]> {
    const links = (await this.run('ip', '-o', 'link'))
      .split('\n')
      .map((line) => line.split(/[:@]/)[1]?.trim());
    const rules = (await this.run('iptables-save')) + (await this.run('ip6tables-save'));
    const names = async (directory: string): Promise<string[]> =>
      (await readdir(this.place(directory), { recursive: true, withFileTypes: true }).catch(() => []))
        .filter((entry) => !entry.isDirectory() && !/^(lock|last_reserved_ip\.\d+)$/.test(entry.name))
        .map((entry) => join(entry.parentPath, entry.name).slice(this.place(directory).length));
    const shims = await this.run('bash', '-c', 'grep -l "^containerd-shim" /proc/[0-9]*/comm || true');
    return [
      ...(await names(`/var/lib/cni/networks/${NETWORK}`)).map((name) => `lease ${name}`),
      ...(await names('/var/lib/cni/cache')).map((name) => `CNI result ${name}`),
      ...(await names('/var/lib/cni/results')).map((name) => `CNI result ${name}`),
      ...links.filter((link) => link?.startsWith('veth')).map((link) => `link ${link ?? ''}`),
      ...rules
        .split('\n')
        .filter((line) => line.startsWith('-A') && POD_ADDRESS.test(line))
        .map((line) => `rule ${line}`),
      ...(await names('/run/netns')).map((name) => `network namespace ${name}`),
      ...(await this.podMounts()).map((point) => `mount ${point}`),
      ...shims
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => `shim ${line}`),
      ...(await cgroupsBelow(CGROUP_PARENT)).map((group) => `cgroup ${group}`),
    ];
  }

  /** The end of each daemon's log, for the message of a failed test. */
  async logs(): Promise<string> {
    const directory = this.place('/var/log/test-units');
    const names = await readdir(directory).catch(() => []);
    const ends = names.map(
      async (name) => `== ${name}\n${(await readFile(join(directory, name), 'utf8')).slice(-3_000)}`,
    );
    return (await Promise.all(ends)).join('\n');
  }

  /** Ends the node and removes all that it left on the machine. */
  async stop(): Promise<void> {
    if (this.init.exitCode === null) {
      // Daemons that end by themselves leave no mounts and no network in the kernel.
      for (const unit of ['kubelet', 'dockbridge', 'docker', 'containerd', 'registry'])
        await this.systemctl('stop', `${unit}.service`).catch(() => undefined);
      const gone = once(this.init, 'exit');
      this.init.stdin?.end();
      await gone;
    }
    await removeCgroups(CGROUP_PARENT);
    await rm(this.directory, { recursive: true, force: true });
  }

  private get pid(): number {
    return this.init.pid ?? 0;
  }

  private get through(): string[] {
    const { pid } = this;
    // unshare itself stays in the machine's namespace of processes; its child is the node's process 1.
    return ['nsenter', `--target=${pid}`, '--mount', '--net', `--pid=/proc/${pid}/ns/pid_for_children`];
  }

  private async untilReady(): Promise<void> {
    let [said, errors] = ['', ''];
    this.init.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the node is not ready: ${errors}`)), START_MS);
      this.init.once('exit', () => reject(new Error(`the node has ended: ${errors}`)));
      this.init.stdout?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (!said.includes('ready')) return;
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private async podMounts(): Promise<string[]> {
    const places = [
      '/run/netns',
      '/run/containerd',
      '/run/docker',
      '/run/dockbridge',
      '/var/lib/docker',
      '/var/lib/containerd',
    ];
    const text = await readFile(`/proc/${this.pid}/mountinfo`, 'utf8');
    return (
      parseMountinfo(text)
        .map(({ mountPoint }) => mountPoint)
        // dockerd keeps this handle of the node's own network after its end.
        .filter((point) => point !== '/run/docker/netns/default')
        .filter((point) => places.some((place) => point.startsWith(`${place}/`)))
    );
  }
}

export interface NodeOptions {
  readonly daemonJson: string;
  /** Whether the Engine runs on the node's containerd, as with Docker's packages. Otherwise dockerd starts one of its own. */
  readonly isContainerdShared: boolean;
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function cgroupsBelow(parent: string): Promise<string[]> {
  const hierarchies = await readdir('/sys/fs/cgroup');
  const found = hierarchies.map(async (hierarchy) => {
    const names = await readdir(join('/sys/fs/cgroup', hierarchy, parent), { withFileTypes: true }).catch(
      () => [],
    );
    return names.filter((entry) => entry.isDirectory()).map(({ name }) => `${hierarchy}/${name}`);
  });
  return (await Promise.all(found)).flat();
}

function unit(command: string, more = ''): string {
  return `[Unit]\nDescription=A part of the test's node\n\n[Service]\n${more}ExecStart=${command}\n`;
}

function registryConfig(directory: string): string {
  const storage = `storage: {filesystem: {rootdirectory: ${directory}/registry}}`;
  return `version: 0.1\nhttp: {addr: "${REGISTRY}"}\n${storage}\n`;
}

const CONFLIST = {
  cniVersion: '1.0.0',
  name: NETWORK,
  plugins: [
    {
      ...{ type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: true, hairpinMode: true },
      ipam: { type: 'host-local', ranges: [[{ subnet: POD_SUBNET }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'portmap', snat: true, capabilities: { portMappings: true } },
  ],
};

/** A node as kubeadm makes it, with the containerd that Docker's packages install. */
function filesOf(directory: string, daemonJson: string, isContainerdShared: boolean): Record<string, string> {
  const dockerd = `dockerd --host=unix://${DOCKER_SOCKET} --group=root`;
  const dockbridge = [process.execPath, MAIN, 'serve', '--cni-bin-dir', '/usr/lib/cni'];
  const pause = ['--pod-infra-container-image', 'dockbridge.local/pause:1'];
  const kubelet = `--container-runtime-endpoint=unix://${OLD_ENDPOINT} --node-ip=${NODE_ADDRESS}`;
  return {
    '/etc/docker/daemon.json': daemonJson,
    '/etc/hostname': 'node-7\n',
    '/etc/hosts': '127.0.0.1 localhost\n',
    '/etc/resolv.conf': `nameserver ${NODE_ADDRESS}\n`,
    '/etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    '/etc/crictl.yaml': `runtime-endpoint: unix://${OLD_ENDPOINT}\n`,
    '/etc/cni/net.d/10-pods.conflist': JSON.stringify(CONFLIST),
    '/etc/cron.daily/prune': '#!/bin/sh\ndocker system prune --force\n',
    // Docker's package turns CRI off. The other setting is for machines whose root may not lower the score.
    '/etc/containerd/config.toml':
      'version = 3\n# from the package of Docker\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n\n' +
      `[plugins."io.containerd.cri.v1.runtime"]\nrestrict_oom_score_adj = true\n`,
    '/etc/systemd/system/containerd.service': unit('containerd', `X-Socket=${NEW_ENDPOINT}\n`),
    '/etc/systemd/system/docker.socket': `[Socket]\nListenStream=${DOCKER_SOCKET}\n`,
    '/etc/systemd/system/docker.service': unit(
      isContainerdShared ? `${dockerd} --containerd=${NEW_ENDPOINT}` : dockerd,
      `X-Socket=${DOCKER_SOCKET}\n`,
    ),
    '/etc/systemd/system/dockbridge.service': unit(
      [...dockbridge, ...pause, '--container-runtime-endpoint', `unix://${OLD_ENDPOINT}`].join(' '),
      `X-Socket=${OLD_ENDPOINT}\n`,
    ),
    '/etc/systemd/system/kubelet.service': unit(
      "sh -c 'exec sleep infinity' kubelet $KUBELET_KUBEADM_ARGS",
      'EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\n',
    ),
    '/etc/systemd/system/registry.service': unit(`docker-registry serve ${directory}/registry.yml`),
    '/var/lib/kubelet/kubeadm-flags.env': `KUBELET_KUBEADM_ARGS="${kubelet}"\n`,
    '/var/lib/kubelet/config.yaml':
      'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n# as the Engine\ncgroupDriver: cgroupfs\n' +
      `containerRuntimeEndpoint: unix://${OLD_ENDPOINT}   # stays in this line\nmaxPods: 50\n`,
  };
}
