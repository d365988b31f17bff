import { readdir, readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { RuntimeError } from '../lib/errors';
import { parseFileLimit } from '../node/file-limit';
import { createMetrics, type Metrics } from './series';
import { type MetricSources, sampleSources } from './sources';

interface PluginRun {
  readonly plugin: string;
  readonly command: string;
  readonly seconds: number;
  readonly failed: boolean;
}

/**
 * The metrics of this process. Some are counted at each event, which costs about a microsecond. The others are determined at
 * each scrape and cost nothing otherwise.
 */
export class DaemonMetrics {
  private readonly metrics = createMetrics();
  private readonly process = new ProcessSample();
  private rendering: Promise<string> | undefined;

  constructor(private readonly version: string) {
    // These series begin at 0. If they began with the first pod that lacks something, an alert rule could not see that first
    // increase.
    for (const capability of ['portMappings', 'bandwidth']) this.metrics.unserved.inc({ capability }, 0);
  }

  get contentType(): string {
    return this.metrics.registry.contentType;
  }

  onCall({ method, code, seconds }: { method: string; code: string; seconds: number }): void {
    this.metrics.calls.inc({ method, code });
    this.metrics.callSeconds.observe({ method }, seconds);
  }

  onEngineCallBegun(operation: string): void {
    this.metrics.engineInFlight.inc({ operation });
  }

  onEngineCall({ operation, error, seconds }: { operation: string; error: unknown; seconds: number }): void {
    this.metrics.engineInFlight.dec({ operation });
    this.metrics.engineCalls.inc({ operation, code: codeOf(error) });
    this.metrics.engineSeconds.observe({ operation }, seconds);
  }

  /**
   * Records the lag of an Engine event.
   * @param seconds the time from the Engine's timestamp to the update of the store. It is negative if the clock was set back.
   */
  onEngineEvent(seconds: number): void {
    this.metrics.eventLag.observe(Math.max(0, seconds));
  }

  onPluginRun({ plugin, command, seconds, failed }: PluginRun): void {
    this.metrics.pluginSeconds.observe({ plugin, command }, seconds);
    // The series begins at 0. If it began with the first failure, an alert rule could not see that first increase.
    this.metrics.pluginFailures.inc({ plugin, command }, failed ? 1 : 0);
  }

  /** Returns the numbers of failed runs of CNI plugins. The keys are plugin and command, such as `bridge ADD`. */
  async pluginFailures(): Promise<Readonly<Record<string, number>>> {
    const { values } = await this.metrics.pluginFailures.get();
    return Object.fromEntries(
      values.flatMap(({ labels: { plugin = '', command = '' }, value }) =>
        value > 0 && command !== 'VERSION' ? [[`${plugin} ${command}`, value]] : [],
      ),
    );
  }

  /**
   * Counts a pod that requested more than its network provides.
   * @param capability the CNI capability that a new pod requested but no plugin has.
   */
  onUnserved(capability: string): void {
    this.metrics.unserved.inc({ capability });
  }

  /** Renders the page in Prometheus' text format. Scrapes that arrive while a page is being made share that page. */
  async render(sources: MetricSources): Promise<string> {
    this.rendering ??= this.sampled(sources).finally(() => (this.rendering = undefined));
    return this.rendering;
  }

  private async sampled(sources: MetricSources): Promise<string> {
    const { metrics } = this;
    metrics.buildInfo.set({ version: this.version, node_version: process.versions.node }, 1);
    await Promise.all([sampleSources(metrics, sources), this.process.into(metrics)]);
    return metrics.registry.metrics();
  }
}

function codeOf(error: unknown): string {
  if (error === undefined) return 'OK';
  if (error instanceof RuntimeError) return error.code;
  return 'UNKNOWN';
}

/**
 * Updates the process metrics. prom-client's own metrics are not used, because they read /proc synchronously and keep timers
 * running.
 */
export class ProcessSample {
  private utilization = performance.eventLoopUtilization();

  async into(metrics: Metrics): Promise<void> {
    const { user, system } = process.cpuUsage();
    metrics.cpuSeconds.reset();
    metrics.cpuSeconds.inc((user + system) / 1e6);
    const { rss, heapUsed, external } = process.memoryUsage();
    metrics.residentBytes.set(rss);
    metrics.heapBytes.set(heapUsed);
    metrics.externalBytes.set(external);
    metrics.startTime.set(performance.timeOrigin / 1000);
    const now = performance.eventLoopUtilization();
    metrics.loopUtilization.set(performance.eventLoopUtilization(now, this.utilization).utilization);
    this.utilization = now;
    metrics.openFds.set((await readdir('/proc/self/fd')).length);
    const limits = await readFile('/proc/self/limits', 'utf8');
    const limit = parseFileLimit(limits);
    if (limit !== undefined && limit !== Infinity) metrics.maxFds.set(limit);
  }
}
