import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { valueNow, type Changing } from '../../lib/changing';
import { failedPrecondition } from '../../lib/errors';
import { NO_TRACER, type Span, type Tracer } from '../../lib/tracer';
import { parseObject, type JsonObject } from '../../lib/json';
import {
  isAtLeast,
  type NetworkConfig,
  NEWEST_VERSION,
  type PluginConfig,
  UNNAMED_VERSION,
} from './network-config';
import { convertResult, type CniResult } from './result';
import type { Attachment } from './result-cache';
import { CniPluginError, garbageAnswer, type PluginRun, runPlugin } from './run-plugin';
import type { RunningPlugins } from './running-plugins';

/** The code with which a plugin reports that it does not know VERSION. Such a plugin supports only the first version. */
const INCOMPATIBLE_VERSION = 1;

const POD_COMMANDS: readonly string[] = ['ADD', 'CHECK', 'DEL'];

/** One finished run of a plugin, whether it succeeded or failed, for metrics. */
export interface PluginReport {
  readonly plugin: string;
  readonly command: string;
  readonly seconds: number;
  readonly failed: boolean;
}

export type PluginObserver = (report: PluginReport) => void;

/** Listeners that are notified of runs. */
export interface PluginObservers {
  readonly observe?: PluginObserver;
  readonly tracer?: Tracer;
}

export interface ValidAttachment {
  readonly containerID: string;
  readonly ifname: string;
}

/** Runs the plugins of a network one after the other, as CNI's specification requires. */
export class PluginChain {
  constructor(
    private readonly binDirs: readonly string[],
    /** How long one run of a plugin may take. */
    private readonly timeoutMs: Changing<number>,
    private readonly observe: PluginObserver = () => undefined,
    private readonly running?: Pick<RunningPlugins, 'begin'>,
    private readonly tracer: Tracer = NO_TRACER,
  ) {}

  /** @returns the last plugin's result, in the configuration's version. */
  async add(config: NetworkConfig, attachment: Attachment, signal?: AbortSignal): Promise<CniResult> {
    let result: CniResult | undefined;
    for (const plugin of config.plugins) {
      const stdin = pluginInput(config, plugin, attachment.capabilityArgs, result);
      const stdout = await this.run(config.name, plugin.type, 'ADD', environment(attachment), stdin, signal);
      const answer = parseObject(stdout);
      if (answer === undefined) throw garbageAnswer(plugin.type, 'ADD', stdout);
      result = convertResult(answer, config.cniVersion);
    }
    return result ?? {};
  }

  /**
   * Runs CHECK.
   * @throws CniPluginError when the pod's network is no longer as ADD made it.
   */
  async check(
    config: NetworkConfig,
    attachment: Attachment,
    result: CniResult,
    signal?: AbortSignal,
  ): Promise<void> {
    if (config.disableCheck || !isAtLeast(config.cniVersion, '0.4.0')) return;
    for (const plugin of config.plugins) {
      const stdin = pluginInput(
        config,
        plugin,
        attachment.capabilityArgs,
        convertResult(result, config.cniVersion),
      );
      await this.run(config.name, plugin.type, 'CHECK', environment(attachment), stdin, signal);
    }
  }

  /**
   * Runs DEL in reverse order. Stops at the first failure, because the next plugins would free things to which the failed
   * plugin still refers.
   */
  async del(config: NetworkConfig, attachment: Attachment, result: CniResult | undefined): Promise<void> {
    const before =
      result !== undefined && isAtLeast(config.cniVersion, '0.4.0')
        ? convertResult(result, config.cniVersion)
        : undefined;
    for (const plugin of [...config.plugins].reverse()) {
      const stdin = pluginInput(config, plugin, attachment.capabilityArgs, before);
      await this.run(config.name, plugin.type, 'DEL', environment(attachment), stdin);
    }
  }

  /** Runs STATUS, which came with CNI 1.1. Networks of earlier versions always count as ready. */
  async status(config: NetworkConfig, signal?: AbortSignal): Promise<void> {
    if (!isAtLeast(config.cniVersion, '1.1.0')) return;
    for (const plugin of config.plugins) {
      await this.run(
        config.name,
        plugin.type,
        'STATUS',
        {},
        pluginInput(config, plugin, {}, undefined),
        signal,
      );
    }
  }

  /**
   * Runs GC, which came with CNI 1.1: plugins free everything that belongs to none of the attachments. All plugins are run even
   * if one fails; then the first failure is thrown.
   */
  async gc(config: NetworkConfig, valid: readonly ValidAttachment[], signal?: AbortSignal): Promise<void> {
    if (config.disableGc || !isAtLeast(config.cniVersion, '1.1.0')) return;
    const errors: unknown[] = [];
    for (const plugin of config.plugins) {
      const input = { 'cni.dev/valid-attachments': valid, 'cni.dev/attachments': valid };
      const stdin = pluginInput(config, plugin, {}, undefined, input);
      await this.run(config.name, plugin.type, 'GC', {}, stdin, signal).catch((error: unknown) =>
        errors.push(error),
      );
    }
    if (errors.length > 0) throw errors[0];
  }

  /**
   * Asks each plugin whether it supports the configuration's version.
   * @throws FAILED_PRECONDITION when a plugin is missing or does not support it.
   */
  async validate(config: NetworkConfig, signal?: AbortSignal): Promise<void> {
    for (const type of new Set(config.plugins.map((plugin) => plugin.type))) {
      const versions = await this.versionsOf(config.name, type, signal);
      if (versions.includes(config.cniVersion)) continue;
      throw failedPrecondition(
        `CNI plugin "${type}" does not support version ${config.cniVersion} of network "${config.name}", only ${versions.join(', ')}`,
      );
    }
  }

  /**
   * Checks that each plugin is installed, without running any.
   * @throws FAILED_PRECONDITION when a plugin is missing.
   */
  async findAll(config: NetworkConfig): Promise<void> {
    for (const { type } of config.plugins) await this.find(type, 'VERSION');
  }

  private async versionsOf(
    network: string,
    type: string,
    signal: AbortSignal | undefined,
  ): Promise<string[]> {
    // Plugins of the first version require the variables of an ADD even to report that they do not know VERSION.
    const variables = { CNI_CONTAINERID: 'none', CNI_NETNS: 'none', CNI_IFNAME: 'none', CNI_ARGS: '' };
    try {
      const stdin = JSON.stringify({ cniVersion: NEWEST_VERSION });
      const stdout = await this.run(network, type, 'VERSION', variables, stdin, signal);
      const versions = parseObject(stdout)?.supportedVersions;
      if (!Array.isArray(versions)) throw garbageAnswer(type, 'VERSION', stdout);
      return versions.map(String);
    } catch (error) {
      const unknownCommand =
        error instanceof CniPluginError &&
        /unknown CNI_COMMAND/i.test(error.message) &&
        error.pluginCode !== undefined;
      if (unknownCommand || (error instanceof CniPluginError && error.pluginCode === INCOMPATIBLE_VERSION))
        return [UNNAMED_VERSION];
      throw error;
    }
  }

  private async run(
    network: string,
    plugin: string,
    command: string,
    variables: Readonly<Record<string, string>>,
    stdin: string,
    signal?: AbortSignal,
  ): Promise<string> {
    const path = await this.find(plugin, command);
    const started = process.hrtime.bigint();
    const report = (failed: boolean): void =>
      this.observe({ plugin, command, seconds: Number(process.hrtime.bigint() - started) / 1e9, failed });
    const run = this.traced(plugin, command, network, () =>
      runPlugin({
        plugin,
        path,
        command,
        environment: { ...variables, CNI_PATH: this.binDirs.join(':') },
        stdin,
        timeoutMs: valueNow(this.timeoutMs),
        signal,
        // A run that is for no pod cannot collide with another run, so it is not recorded.
        onStarted: this.noting(plugin, command, variables.CNI_CONTAINERID),
      }),
    );
    return run.then(
      (stdout) => {
        report(false);
        return stdout;
      },
      (error: unknown) => {
        report(true);
        throw error;
      },
    );
  }

  private traced<T>(plugin: string, command: string, network: string, run: () => Promise<T>): Promise<T> {
    return this.tracer.step(
      () => ({
        name: `CNI ${command} ${plugin}`,
        kind: 'internal',
        attributes: { 'cni.plugin': plugin, 'cni.command': command, 'cni.network': network },
      }),
      async (span) => {
        try {
          const result = await run();
          span.set(() => ({ 'cni.exit': '0' }));
          return result;
        } catch (error) {
          putFailure(span, error);
          throw error;
        }
      },
    );
  }

  private noting(plugin: string, command: string, sandboxId: string | undefined): PluginRun['onStarted'] {
    const { running } = this;
    if (running === undefined || sandboxId === undefined || !POD_COMMANDS.includes(command)) return undefined;
    return (pid) => running.begin(pid, { sandboxId, plugin, command });
  }

  private async find(plugin: string, command: string): Promise<string> {
    for (const directory of this.binDirs) {
      const path = join(directory, plugin);
      try {
        if (!(await stat(path)).isFile()) continue;
        await access(path, constants.X_OK);
        return path;
      } catch {
        // The plugin may be in the next directory.
      }
    }
    throw new CniPluginError(
      'FAILED_PRECONDITION',
      plugin,
      command,
      `CNI plugin "${plugin}" is not installed in ${this.binDirs.join(', ')} (--cni-bin-dir)`,
    );
  }
}

/** @param error the error. Its message is not used, because it may quote the configuration. */
function putFailure(span: Span, error: unknown): void {
  if (!(error instanceof CniPluginError)) return;
  span.set(() => ({
    'cni.exit': error.exit?.replace(/^exit code /, ''),
    'cni.error_code': error.pluginCode,
  }));
}

function environment(attachment: Attachment): Record<string, string> {
  return {
    CNI_CONTAINERID: attachment.containerId,
    CNI_NETNS: attachment.netns,
    CNI_IFNAME: attachment.ifName,
    CNI_ARGS: attachment.cniArgs.map(([key, value]) => `${key}=${value}`).join(';'),
  };
}

/**
 * Returns the plugin's configuration, with the list's name and version, the arguments of the plugin's capabilities, and
 * prevResult.
 */
function pluginInput(
  config: NetworkConfig,
  plugin: PluginConfig,
  capabilityArgs: JsonObject,
  prevResult: CniResult | undefined,
  more: JsonObject = {},
): string {
  const { capabilities: _capabilities, ...body } = plugin.body;
  const runtimeConfig = Object.fromEntries(
    Object.entries(capabilityArgs).filter(([capability]) => plugin.capabilities.includes(capability)),
  );
  return JSON.stringify({
    ...body,
    name: config.name,
    cniVersion: config.cniVersion,
    ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
    ...(prevResult === undefined ? {} : { prevResult }),
    ...more,
  });
}
