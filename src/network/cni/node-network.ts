import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { failedPrecondition, messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { listDirectory } from '../../node/disk/files';
import type { NetworkCondition } from '../pod-network';
import { DirectoryWatch } from './directory-watch';
import { type JsonObject, parseObject } from '../../lib/json';
import {
  isAtLeast,
  type NetworkConfig,
  parseNetworkList,
  parseSinglePlugin,
  wantsCapability,
} from './network-config';
import type { PluginChain } from './plugin-chain';

export interface FoundConfig {
  /** The configuration in the first valid file. Files are tried in lexical order. */
  readonly config: NetworkConfig | undefined;
  /** Path of the file with the configuration. */
  readonly file: string;
  /** For each file that was ignored, its path and the reason. These are the files before the valid one, or all files. */
  readonly problems: readonly string[];
}

const ENDINGS = ['.conf', '.conflist', '.json'];

/** Finds the configuration of the node's network. A directory that does not exist counts as empty. */
export async function findConfig(directory: string): Promise<FoundConfig> {
  const problems: string[] = [];
  for (const name of await configNames(directory)) {
    const file = join(directory, name);
    try {
      return { config: await readConfig(file), file, problems };
    } catch (error) {
      problems.push(`${file}: ${messageOf(error)}`);
    }
  }
  return { config: undefined, file: '', problems };
}

async function readConfig(file: string): Promise<NetworkConfig> {
  const json = await readFile(file, 'utf8');
  if (extname(file) !== '.conflist') return parseSinglePlugin(json);
  const list = parseObject(json);
  // With CNI 1.1, plugins may also have files of their own in a directory that is named after the network.
  if (list === undefined || list.loadOnlyInlinedPlugins === true || typeof list.name !== 'string')
    return parseNetworkList(json);
  return parseNetworkList(json, await droppedPlugins(join(file, '..', list.name)));
}

async function droppedPlugins(directory: string): Promise<JsonObject[]> {
  const names = (await listDirectory(directory)).filter((name) => extname(name) === '.conf').sort();
  return Promise.all(
    names.map(async (name) => {
      const plugin = parseObject(await readFile(join(directory, name), 'utf8'));
      if (plugin === undefined) throw new Error(`${join(directory, name)} is not a JSON object`);
      return plugin;
    }),
  );
}

async function configNames(directory: string): Promise<string[]> {
  return (await listDirectory(directory)).filter((name) => ENDINGS.includes(extname(name))).sort();
}

/** The maximum age in ms of a plugin's STATUS (CNI 1.1) when kubelet asks. */
const STATUS_AGE_MS = 5_000;

export interface NodeNetworkParts {
  readonly confDir: string;
  readonly binDirs: readonly string[];
  readonly chain: Pick<PluginChain, 'validate' | 'status'>;
  readonly logger: Logger;
}

/**
 * The node's CNI network: the first valid configuration, and whether its plugins are installed and ready. Both are determined
 * again when a directory changes.
 */
export class NodeNetwork {
  private config: NetworkConfig | undefined;
  private problem = 'no CNI configuration has been looked for yet';
  private podCidr = '';
  private installed = false;
  private statusAt = -Infinity;
  private reloading: Promise<void> | undefined;
  private again = false;
  private readonly stopped = new AbortController();
  private readonly watches: DirectoryWatch[];

  constructor(private readonly parts: NodeNetworkParts) {
    this.watches = [parts.confDir, ...parts.binDirs].map(
      (directory) => new DirectoryWatch(directory, () => void this.reload()),
    );
  }

  /** Starts to watch the directories, and reads them for the first time. */
  async start(): Promise<void> {
    await Promise.all(this.watches.map((watch) => watch.start()));
    await this.reload();
  }

  /**
   * Whether this node is meant for CNI, because it has a configuration or plugins now, or has had them since this daemon
   * started.
   */
  get isInstalled(): boolean {
    return this.installed;
  }

  get currentPodCidr(): string {
    return this.podCidr;
  }

  setPodCidr(podCidr: string): void {
    this.podCidr = podCidr;
  }

  condition(): NetworkCondition {
    this.askAgain();
    const message = this.problem === '' ? this.missingCidr() : this.problem;
    if (message === '') return { ready: true, reason: '', message: '' };
    return { ready: false, reason: 'NetworkPluginNotReady', message };
  }

  /**
   * Returns the network for a new pod.
   * @throws FAILED_PRECONDITION when the network is not ready.
   */
  required(): NetworkConfig {
    const { ready, message } = this.condition();
    if (this.config === undefined || !ready) throw failedPrecondition(message);
    return this.config;
  }

  /** The network that was read last, whether it is ready or not. */
  get lastConfig(): NetworkConfig | undefined {
    return this.config;
  }

  /** Reads the configuration and the plugins again. A call while they are being read makes the reading start over. */
  async reload(): Promise<void> {
    this.again = true;
    this.reloading ??= this.reloadWhileWanted();
    await this.reloading;
  }

  async close(): Promise<void> {
    this.stopped.abort();
    for (const watch of this.watches) watch.close();
    await this.reloading;
  }

  private async reloadWhileWanted(): Promise<void> {
    const { signal } = this.stopped;
    while (this.again && !signal.aborted) {
      this.again = false;
      const before = `${this.problem} ${this.config?.json ?? ''}`;
      await this.read(signal);
      if (before === `${this.problem} ${this.config?.json ?? ''}`) continue;
      if (this.problem === '') this.parts.logger.info('CNI network is ready', { network: this.config?.name });
      // On a machine without CNI, a missing network is not a problem.
      else if (this.installed) this.parts.logger.warn('CNI network is not ready', { reason: this.problem });
    }
    // There must be no await between the last check of `again` and this line, so that no call is missed.
    this.reloading = undefined;
  }

  private async read(signal: AbortSignal): Promise<void> {
    const { confDir, binDirs, chain, logger } = this.parts;
    try {
      const { config, problems } = await findConfig(confDir);
      const plugins = await Promise.all(binDirs.map(listDirectory));
      this.installed ||= config !== undefined || problems.length > 0 || plugins.flat().length > 0;
      this.config = config;
      if (config === undefined) {
        this.problem =
          problems.length === 0
            ? `no CNI configuration in ${confDir} (--cni-conf-dir)`
            : `no valid CNI configuration: ${problems.join('; ')}`;
        return;
      }
      for (const reason of problems) logger.warn('Ignoring an invalid CNI configuration', { reason });
      await chain.validate(config, signal);
      await chain.status(config, signal);
      this.statusAt = performance.now();
      this.problem = '';
    } catch (error) {
      if (!signal.aborted) this.problem = messageOf(error);
    }
  }

  /**
   * Asks the plugins for their STATUS, because CNI 1.1 plugins may become ready or unready without any change to a file. The
   * next call of condition() gets the answer.
   */
  private askAgain(): void {
    if (this.config === undefined || !isAtLeast(this.config.cniVersion, '1.1.0')) return;
    if (performance.now() - this.statusAt < STATUS_AGE_MS) return;
    this.statusAt = performance.now();
    void this.reload();
  }

  private missingCidr(): string {
    if (this.podCidr !== '' || this.config === undefined || !wantsCapability(this.config, 'ipRanges'))
      return '';
    return `CNI network "${this.config.name}" needs the node's pod CIDR, which kubelet has not sent yet`;
  }
}
