import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { Given } from '../../../src/config/options';
import { NAMESPACE_DIRECTORY, NamespaceHandles } from '../../../src/node/netns/namespace-handles';
import { DirectoryAsFound } from './directory-as-found';

const run = promisify(execFile);
/** Debian's containernetworking-plugins. */
const PLUGINS = '/usr/lib/cni';
/** The node's address in its network namespace. */
export const NODE_IP = '198.51.100.1';
const BRIDGE = 'cni-test0';

/**
 * A node for CNI plugins. The real plugins run in a network namespace of its own, so bridges, iptables
 * rules and addresses belong only to it and disappear with it. Wrappers in the directory for --cni-bin-dir
 * run the plugins there. Everything else is as on a real node.
 */
export class CniNode {
  private constructor(
    readonly directory: string,
    private readonly namespacesBefore: DirectoryAsFound,
  ) {}

  static async create(): Promise<CniNode> {
    const namespaces = await DirectoryAsFound.look(NAMESPACE_DIRECTORY);
    const node = new CniNode(await mkdtemp(join(tmpdir(), 'dockbridge-cni-')), namespaces);
    await Promise.all(['net.d', 'bin', 'leases'].map((name) => mkdir(join(node.directory, name))));
    await writeFile(node.namespace, '');
    await run('unshare', [`--net=${node.namespace}`, 'true']);
    await node.run('ip', 'link', 'set', 'lo', 'up');
    // The link is a bridge, because some kernels lack the type dummy.
    await node.run('ip', 'link', 'add', 'eth0', 'type', 'bridge');
    await node.run('ip', 'address', 'add', `${NODE_IP}/24`, 'dev', 'eth0');
    await node.run('ip', 'link', 'set', 'eth0', 'up');
    for (const plugin of await readdir(PLUGINS)) {
      const wrapper = `#!/bin/sh\nexec nsenter --net=${node.namespace} ${PLUGINS}/${plugin}\n`;
      await writeFile(join(node.binDir, plugin), wrapper, { mode: 0o755 });
    }
    return node;
  }

  get namespace(): string {
    return join(this.directory, 'node');
  }

  get binDir(): string {
    return join(this.directory, 'bin');
  }

  get confDir(): string {
    return join(this.directory, 'net.d');
  }

  /** The directory where host-local keeps its leases. */
  get leaseDir(): string {
    return join(this.directory, 'leases');
  }

  get cacheDir(): string {
    return join(this.directory, 'cache');
  }

  get runDir(): string {
    return join(this.directory, 'run');
  }

  /** Returns the handles of a daemon that runs with `options`. */
  get handles(): NamespaceHandles {
    return NamespaceHandles.of(this.runDir);
  }

  /** Options of a daemon on this node. */
  get options(): Given {
    return {
      'network-plugin': 'cni',
      'cni-conf-dir': this.confDir,
      'cni-bin-dir': this.binDir,
      'cni-cache-dir': this.cacheDir,
      'run-dir': this.runDir,
    };
  }

  get arguments(): string[] {
    return Object.entries(this.options).flatMap(([name, value]) => [`--${name}`, value ?? '']);
  }

  /** @returns standard output of a command in the node's network namespace. */
  async run(command: string, ...args: string[]): Promise<string> {
    const { stdout } = await run('nsenter', [`--net=${this.namespace}`, command, ...args], {
      timeout: 30_000,
    });
    return stdout;
  }

  async configure(network: object, file = '10-test.conflist'): Promise<void> {
    await writeFile(join(this.confDir, file), JSON.stringify(network));
  }

  /** Installs a plugin of the test's own, a shell script that does not have to answer VERSION. */
  async plugin(name: string, script: string): Promise<void> {
    const versions = `echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'`;
    const text = `#!/bin/sh\nif [ "$CNI_COMMAND" = VERSION ]; then ${versions}; exit; fi\n${script}\n`;
    await writeFile(join(this.binDir, name), text, { mode: 0o755 });
  }

  /** Returns a bridge network with the usual plugins of a node. */
  network(ranges: readonly string[], { ipam = {}, version = '1.0.0' } = {}): object {
    return {
      cniVersion: version,
      name: 'test-net',
      plugins: [
        {
          type: 'bridge',
          bridge: BRIDGE,
          isGateway: true,
          ipMasq: true,
          hairpinMode: true,
          ipam: {
            type: 'host-local',
            dataDir: this.leaseDir,
            ...(ranges.length === 0 ? {} : { ranges: ranges.map((subnet) => [{ subnet }]) }),
            routes: [{ dst: '0.0.0.0/0' }],
            ...ipam,
          },
          ...(ranges.length === 0 ? { capabilities: { ipRanges: true } } : {}),
        },
        { type: 'portmap', snat: true, capabilities: { portMappings: true } },
        { type: 'firewall' },
        { type: 'bandwidth', capabilities: { bandwidth: true } },
        { type: 'tuning', sysctl: { 'net.ipv4.conf.all.log_martians': '1' } },
      ],
    };
  }

  /** Returns the leased addresses, with the container and interface that hold them. */
  async leases(): Promise<{ ip: string; holder: string }[]> {
    const names = await readdir(join(this.leaseDir, 'test-net')).catch(() => []);
    const ips = names.filter((name) => /^[0-9a-f.:]+$/.test(name));
    return Promise.all(
      ips.map(async (ip) => ({ ip, holder: await readFile(join(this.leaseDir, 'test-net', ip), 'utf8') })),
    );
  }

  /**
   * Returns everything that pods have on this node: leases, links, cached results, namespaces and rules.
   * Empty when none is left.
   */
  async traces(): Promise<string[]> {
    const links = (await this.run('ip', '-o', 'link'))
      .split('\n')
      .map((line) => line.split(/[:@]/)[1]?.trim() ?? '');
    const rules = [...(await this.rules('iptables')), ...(await this.rules('ip6tables'))];
    return [
      ...(await this.leases()).map(({ ip, holder }) => `lease ${ip} ${holder.trim().split(/\s/)[0] ?? ''}`),
      ...links.filter((link) => /^(veth|bwp)/.test(link)).map((link) => `link ${link}`),
      ...(await readdir(join(this.cacheDir, 'results')).catch(() => [])).map((name) => `cache ${name}`),
      ...(await this.handles.list()).map((id) => `netns ${id}`),
      ...(await this.mounts()).map((path) => `mount ${path}`),
      ...rules.map((rule) => `rule ${rule}`),
    ];
  }

  async destroy(): Promise<void> {
    await this.handles.letGo();
    for (const path of [...(await this.mounts()), this.namespace]) await run('umount', ['-l', path]);
    await this.namespacesBefore.restore();
    await rm(this.directory, { recursive: true, force: true });
  }

  private async mounts(): Promise<string[]> {
    const mounts = await readFile('/proc/self/mountinfo', 'utf8');
    const paths = mounts.split('\n').map((line) => line.split(' ')[4] ?? '');
    const handle = basename(this.handles.pathOf(''));
    return paths.filter((path) => path.startsWith(`${this.runDir}/`) || basename(path).startsWith(handle));
  }

  /** Returns the rules of single pods, without those that plugins set up once for the node. */
  private async rules(command: string): Promise<string[]> {
    const all = (await this.run(`${command}-save`)).split('\n');
    return all.filter(
      (line) =>
        line.startsWith('-A') &&
        !/^-A (CNI-HOSTPORT-(SETMARK|MASQ)|CNI-FORWARD -m comment|FORWARD -m comment|OUTPUT|PREROUTING|POSTROUTING -m comment --comment "CNI portfwd)/.test(
          line,
        ),
    );
  }
}
