import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { CniNetwork } from '../../../src/network/cni/cni-network';
import type { Attachment } from '../../../src/network/cni/result-cache';
import { RunningPlugins, type RunningPluginsTimes } from '../../../src/network/cni/running-plugins';
import type { PodNamespaces } from '../../../src/node/netns/namespace-handles';

/** The directories of a node with CNI, with shell scripts as plugins. */
export class FakeNode {
  readonly namespaces = new FakeNamespaces();

  private constructor(readonly root: string) {}

  static async create(): Promise<FakeNode> {
    const node = new FakeNode(await mkdtemp(join(tmpdir(), 'dockbridge-fake-cni-')));
    await Promise.all([mkdir(node.confDir), mkdir(node.binDir)]);
    return node;
  }

  get confDir(): string {
    return join(this.root, 'net.d');
  }

  get binDir(): string {
    return join(this.root, 'bin');
  }

  get cacheDir(): string {
    return join(this.root, 'cache');
  }

  /** The directory in which other programs keep their attachments. */
  get othersCacheDir(): string {
    return join(this.root, 'others-cache');
  }

  /**
   * Installs a plugin that records each call in a file and then runs `script`. VERSION gets a fixed answer.
   * In the script, `$stdin` is the configuration and `$log` a file for notes.
   */
  async plugin(name: string, script: string, versions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0']): Promise<void> {
    const supported = JSON.stringify({ cniVersion: versions.at(-1), supportedVersions: versions });
    const text = `#!/bin/sh
log=${this.root}/calls
if [ "$CNI_COMMAND" = VERSION ]; then echo '${supported}'; exit; fi
stdin=$(cat)
printf '%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\t%s\\n' "$CNI_COMMAND" ${name} "$CNI_CONTAINERID" "$CNI_NETNS" "$CNI_IFNAME" "$CNI_ARGS" "$CNI_PATH" "$stdin" >>$log
${script}
`;
    // The plugin is renamed into place, because a binary that is being written cannot be run.
    await writeFile(join(this.binDir, `.${name}`), text);
    await chmod(join(this.binDir, `.${name}`), 0o755);
    await rename(join(this.binDir, `.${name}`), join(this.binDir, name));
  }

  async configure(network: unknown, file = '10-net.conflist'): Promise<void> {
    await writeFile(
      join(this.confDir, file),
      typeof network === 'string' ? network : JSON.stringify(network),
    );
  }

  async calls(): Promise<PluginCall[]> {
    const text = await readFile(join(this.root, 'calls'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [command = '', plugin = '', containerId, netns, ifName, args, path, stdin = '{}'] =
          line.split('\t');
        const input = JSON.parse(stdin) as Record<string, unknown>;
        return { command, plugin, containerId, netns, ifName, args, path, input };
      });
  }

  /** Returns `ADD one`, `DEL one`, … in order. */
  async story(): Promise<string[]> {
    return (await this.calls()).map(({ command, plugin }) => `${command} ${plugin}`);
  }

  /** How long plugins of an earlier run may continue, in ms. */
  patience: Partial<RunningPluginsTimes> = {};

  /** The capabilities that the network could not give to pods. */
  readonly unserved: string[] = [];
  /** The reasons in the warnings of the network's log. */
  readonly warnings: unknown[] = [];

  async open(timeoutMs = 10_000): Promise<CniNetwork> {
    return CniNetwork.open({
      confDir: this.confDir,
      binDirs: [this.binDir],
      cacheDir: this.cacheDir,
      othersCacheDir: this.othersCacheDir,
      handles: this.namespaces,
      running: new RunningPlugins(join(this.root, 'plugins'), silentLogger, this.patience),
      timeoutMs,
      onUnserved: (capability) => this.unserved.push(capability),
      logger: { ...silentLogger, warn: (_, fields) => this.warnings.push(fields?.reason) },
    });
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

/** Handles in memory. `lives` says to which pid's namespace a handle belongs. */
export class FakeNamespaces implements PodNamespaces {
  readonly lives = new Map<string, number>();

  pathOf(id: string): string {
    return `/handles/${id}`;
  }

  owns(path: string): boolean {
    return path.startsWith('/handles/');
  }

  hold(id: string, pid: number): Promise<string> {
    this.lives.set(id, pid);
    return Promise.resolve(this.pathOf(id));
  }

  heldPath(id: string): Promise<string> {
    return Promise.resolve(this.lives.has(id) ? this.pathOf(id) : '');
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  /** The sandboxes in whose namespaces processes live. */
  readonly living = new Set<string>();

  inUse(): Promise<ReadonlySet<string>> {
    return Promise.resolve(this.living);
  }

  isOf(id: string, pid: number): Promise<boolean> {
    return Promise.resolve(this.lives.get(id) === pid);
  }

  release(id: string): Promise<void> {
    this.lives.delete(id);
    return Promise.resolve();
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.lives.keys()]);
  }
}

export interface PluginCall {
  readonly command: string;
  readonly plugin: string;
  readonly containerId: string | undefined;
  readonly netns: string | undefined;
  readonly ifName: string | undefined;
  readonly args: string | undefined;
  readonly path: string | undefined;
  readonly input: Readonly<Record<string, unknown>>;
}

export const answer = (result: object): string => `echo '${JSON.stringify(result)}'`;

export const RESULT = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'veth0' }, { name: 'eth0', sandbox: '/ns' }],
  ips: [
    { address: 'fd00::2/64', interface: 1 },
    { address: '10.1.0.2/24', interface: 1, gateway: '10.1.0.1' },
  ],
};

export function listOf(plugins: readonly (string | object)[], more: object = {}): Record<string, unknown> {
  return {
    cniVersion: '1.0.0',
    name: 'net',
    plugins: plugins.map((plugin) => (typeof plugin === 'string' ? { type: plugin } : plugin)),
    ...more,
  };
}

export const ATTACHMENT: Attachment = {
  containerId: 'c1',
  networkName: 'net',
  ifName: 'eth0',
  netns: '/ns',
  cniArgs: [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAME', 'web'],
  ],
  capabilityArgs: {},
};
