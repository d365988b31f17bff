import { readdir, readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { parseFileLimit } from '../node/file-limit';
import type { Metrics } from './series';

/** prom-client's own would read /proc synchronously and keep timers going. */
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
