import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pause } from '../../lib/async/abortable';
import { messageOf, unavailable } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { listDirectory } from '../../node/disk/files';
import { processName } from '../../node/process/process-info';
import { parseObject, text } from '../../lib/json';

/** How long a plugin that a killed daemon left running may continue, in ms. */
const PATIENCE_MS = 10_000;
/** How long a killed plugin may take to end, in ms. After that, it counts as hanging in the kernel. */
const KILL_WAIT_MS = 5_000;
const POLL_MS = 20;

/** A plugin that was started for a pod. */
interface RunningPlugin {
  readonly sandboxId: string;
  readonly plugin: string;
  readonly command: string;
  readonly pid: number;
  /** The plugin's processName. A pid alone would not suffice, because pids are reused. */
  readonly process: string;
}

export interface RunningPluginsTimes {
  readonly patience: number;
  readonly killWait: number;
}

/**
 * Records on disk which plugins are running for pods, before these plugins get any input. A plugin may continue after this
 * daemon has ended or stopped waiting for it. Such a plugin must not interfere with the next operation on the same pod: an ADD
 * that ends after the DEL would leave something that nobody frees. Only the plugins themselves are waited for. A child that
 * outlives its plugin may continue to run.
 */
export class RunningPlugins {
  /** Plugins that an earlier daemon started, and plugins that did not end when they were killed. */
  private readonly leftBehind = new Set<RunningPlugin>();
  private readonly times: RunningPluginsTimes;
  private complained = false;

  constructor(
    private readonly directory: string,
    private readonly logger: Logger,
    times: Partial<RunningPluginsTimes> = {},
  ) {
    this.times = { patience: PATIENCE_MS, killWait: KILL_WAIT_MS, ...times };
  }

  /** Finds plugins that an earlier daemon left running. */
  async load(): Promise<void> {
    for (const name of await listDirectory(this.directory)) {
      const plugin = decode(await readFile(join(this.directory, name), 'utf8').catch(() => ''));
      // The file is half written, so the plugin never got its input and has done nothing.
      if (plugin === undefined) await rm(join(this.directory, name), { force: true }).catch(() => undefined);
      else this.leftBehind.add(plugin);
    }
    const pids = (await this.alive()).map(({ pid }) => pid);
    if (pids.length > 0) this.logger.info('CNI plugins of an earlier run are still running', { pids });
  }

  /**
   * Records a plugin that has just been started.
   * @returns a function to call at the plugin's end, with `false` when the plugin did not end although it was killed.
   */
  async begin(
    pid: number,
    { sandboxId, plugin, command }: Pick<RunningPlugin, 'sandboxId' | 'plugin' | 'command'>,
  ): Promise<(ended: boolean) => Promise<void>> {
    const name = await processName(pid);
    if (name === undefined) return () => Promise.resolve();
    const running: RunningPlugin = { sandboxId, plugin, command, pid, process: name };
    try {
      await this.write(running);
    } catch (error) {
      // The error is only logged, so that pods get their network even if the disk is full or read-only.
      if (!this.complained)
        this.logger.warn('Cannot record running CNI plugins', {
          directory: this.directory,
          error: messageOf(error),
        });
      this.complained = true;
    }
    return async (ended) => {
      if (ended) await this.forget(running);
      else this.leftBehind.add(running);
    };
  }

  /**
   * Waits until no plugin that was left behind works on this pod, and kills plugins that take too long.
   * @throws UNAVAILABLE when a plugin cannot be killed. Other pods are not affected.
   */
  async whenQuiet(sandboxId: string, signal: AbortSignal | undefined): Promise<void> {
    const ofPod = (plugin: RunningPlugin): boolean => plugin.sandboxId === sandboxId;
    if ([...this.leftBehind].some(ofPod)) await this.outlive(ofPod, signal);
  }

  /** Like whenQuiet, for all pods. @returns whether all plugins are gone. */
  async settle(signal: AbortSignal): Promise<boolean> {
    try {
      await this.outlive(() => true, signal);
      return true;
    } catch {
      return false;
    }
  }

  private async outlive(which: (plugin: RunningPlugin) => boolean, signal?: AbortSignal): Promise<void> {
    const { patience, killWait } = this.times;
    const never = new AbortController().signal;
    const began = performance.now();
    for (;;) {
      const left = (await this.alive()).filter(which);
      const [first] = left;
      if (first === undefined) return;
      signal?.throwIfAborted();
      const waited = performance.now() - began;
      if (waited >= patience) for (const { pid } of left) killGroup(pid);
      if (waited >= patience + killWait) {
        const { plugin, command, pid } = first;
        throw unavailable(
          `CNI plugin "${plugin}" is still running ${command} of an earlier call and cannot be killed (process ${pid})`,
        );
      }
      // The plugins are polled, because they are not our children and so no event reports their end.
      await pause(POLL_MS, signal ?? never);
    }
  }

  private async alive(): Promise<RunningPlugin[]> {
    const found = [];
    for (const plugin of this.leftBehind) {
      if ((await processName(plugin.pid)) === plugin.process) found.push(plugin);
      else await this.forget(plugin);
    }
    return found;
  }

  private async write(plugin: RunningPlugin): Promise<void> {
    const path = this.pathOf(plugin);
    const body = JSON.stringify(plugin);
    try {
      await writeFile(path, body, { mode: 0o600 });
    } catch {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
      await writeFile(path, body, { mode: 0o600 });
    }
  }

  private async forget(plugin: RunningPlugin): Promise<void> {
    this.leftBehind.delete(plugin);
    // If the file stays, it does no harm: its process is gone, and the next start removes the file.
    await rm(this.pathOf(plugin), { force: true }).catch(() => undefined);
  }

  private pathOf({ process: name }: RunningPlugin): string {
    return join(this.directory, name.split(' ').slice(0, 2).join('-'));
  }
}

function decode(json: string): RunningPlugin | undefined {
  const body = parseObject(json);
  if (body === undefined || typeof body.pid !== 'number' || body.pid <= 1) return undefined;
  const [sandboxId, plugin] = [text(body.sandboxId), text(body.plugin)];
  return { sandboxId, plugin, command: text(body.command), pid: body.pid, process: text(body.process) };
}

/** Kills the plugin's whole process group. Each plugin was started as the leader of a group of its own. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has just ended.
  }
}
