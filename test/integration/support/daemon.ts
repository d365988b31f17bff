import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { resolveSettings, type Given } from '../../../src/config/options';
import { Daemon, type DaemonOverrides } from '../../../src/daemon';
import type { EngineCall } from '../../../src/docker/decorators';
import { silentLogger, type Logger } from '../../../src/lib/logger';
import { CriClient } from '../../../src/server/client/cri-client';
import { until } from '../../unit/support/async';
import { startSourceWorker } from '../../unit/support/source-worker';
import { sharedDockerHost } from './engine';

const HOUR_MS = 3_600_000;
/**
 * The time that a busy machine may need to list and inspect all containers and to answer /info. kubelet
 * would retry, but a test waits.
 */
const PATIENCE = { writePatience: 20_000, factsPatience: 60_000 };

type Overrides = Pick<
  DaemonOverrides,
  'wrapDocker' | 'linkTimes' | 'inspectMs' | 'layerTimes' | 'onPluginRun' | 'pullQuestionsMs'
>;

export interface TestDaemonOptions extends Overrides {
  /** Default: the Engine that all tests share. */
  readonly dockerHost?: string;
  /** More options by their command line names. */
  readonly given?: Given;
  readonly logger?: Logger;
}

/** A daemon in this process with its own socket, state and log directory, and a client for it. */
export class TestDaemon {
  readonly engineCalls: EngineCall[] = [];
  client!: CriClient;
  daemon!: Daemon;
  /** How many of `engineCalls` are calls of earlier daemons. */
  private callsBefore = 0;

  private constructor(
    readonly directory: string,
    private readonly options: TestDaemonOptions,
  ) {}

  static async start(options: TestDaemonOptions = {}): Promise<TestDaemon> {
    const test = new TestDaemon(await mkdtemp(join(tmpdir(), 'dockbridge-test-')), options);
    try {
      await test.launch();
    } catch (error) {
      await rm(test.directory, { recursive: true, force: true });
      throw error;
    }
    return test;
  }

  get endpoint(): string {
    return `unix://${join(this.directory, 'cri.sock')}`;
  }

  get logDirectory(): string {
    return join(this.directory, 'logs');
  }

  /**
   * Stops the daemon and starts a new one on the same state, so that nothing in memory survives. Resolves
   * once it is ready. @param meanwhile runs while there is no daemon.
   */
  async restart(meanwhile?: () => Promise<void>): Promise<void> {
    await this.relaunch(meanwhile);
    await this.synced();
  }

  /** Does the same as restart(), but does not wait until the daemon is ready. */
  async relaunch(meanwhile?: () => Promise<void>): Promise<void> {
    await this.halt();
    await meanwhile?.();
    await this.launch();
  }

  /**
   * Resolves once the daemon is ready. Tests need it for daemons that were started without an Engine, and
   * before calls that do not wait for readiness. dockbridge's own time limit of two seconds is too short for
   * a busy machine.
   */
  async synced(): Promise<void> {
    const end = Date.now() + 30_000;
    for (;;) {
      try {
        await this.daemon.whenSynced();
        return;
      } catch (error) {
        if (Date.now() > end) throw error;
        await delay(50);
      }
    }
  }

  /** Stops the daemon and deletes the directory. The Engine's objects stay. */
  async leave(): Promise<void> {
    await this.halt();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Removes all pods, stops the daemon, and deletes the directory. */
  async stop(): Promise<void> {
    try {
      const { items } = await this.client.call('ListPodSandbox', {});
      await Promise.all(items.map(({ id }) => this.client.call('RemovePodSandbox', { pod_sandbox_id: id })));
    } finally {
      await this.leave();
    }
  }

  /**
   * Runs `work` and returns the Engine calls made meanwhile, by operation, without heartbeats. The disk is
   * measured before, and then not for an hour.
   */
  async countEngineCalls(work: () => Promise<unknown>): Promise<Record<string, number>> {
    if (this.daemon.store.engine !== undefined)
      await until(() => this.hasMeasured(), 'the first measurement of the disk');
    const from = this.engineCalls.length;
    await work();
    const counts: Record<string, number> = {};
    for (const { operation } of this.engineCalls.slice(from)) {
      if (operation !== 'ping') counts[operation] = (counts[operation] ?? 0) + 1;
    }
    return counts;
  }

  private hasMeasured(): boolean {
    return this.engineCalls.slice(this.callsBefore).some(({ operation }) => operation === 'diskUsage');
  }

  private async launch(): Promise<void> {
    this.callsBefore = this.engineCalls.length;
    const {
      dockerHost = sharedDockerHost(),
      given: more,
      logger = silentLogger,
      ...overrides
    } = this.options;
    const linkTimes = { ...PATIENCE, ...overrides.linkTimes };
    const given: Given = {
      'container-runtime-endpoint': this.endpoint,
      'docker-endpoint': dockerHost,
      'state-dir': join(this.directory, 'state'),
      'run-dir': join(this.directory, 'run'),
      'network-plugin': 'no-op',
      'cni-cache-dir': join(this.directory, 'cni-cache'),
      'cri-dockerd-root-directory': join(this.directory, 'cri-dockerd'),
      'dockershim-root-directory': join(this.directory, 'dockershim'),
      'pod-infra-container-image': 'dockbridge.local/pause:1',
      ...more,
    };
    const all: DaemonOverrides = {
      onEngineCall: (call) => this.engineCalls.push(call),
      diskUsageTimes: { tick: HOUR_MS, quiet: HOUR_MS },
      pullQuestionsMs: 10_000,
      startWorker: startSourceWorker,
      pauseTar: join(__dirname, '../../../dist/pause/pause.tar'),
      dialHelper: join(__dirname, '../../../dist/streaming/port-forward/dial-helper.js'),
      ...overrides,
      linkTimes,
    };
    this.daemon = await Daemon.create(resolveSettings(given, {}), logger, {}, all);
    await this.daemon.start();
    this.client = new CriClient(this.endpoint);
  }

  private async halt(): Promise<void> {
    this.client.close();
    await this.daemon.stop();
  }
}
