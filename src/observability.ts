import { join } from 'node:path';
import type { Settings } from './config/options';
import { coalesce } from './lib/async/shared-work';
import { withDeadline } from './lib/async/deadline';
import { messageOf } from './lib/errors';
import type { Logger } from './lib/logger';
import type { DaemonMetrics } from './metrics/daemon-metrics';
import { Endpoint } from './metrics/endpoint';
import { exposition } from './metrics/exposition';
import { healthPage, type HealthCheck } from './metrics/health';
import type { MetricSources } from './metrics/sources';
import type { MetricSample, PodMetrics } from './stats/metrics/metric';
import { METRIC_DESCRIPTORS } from './stats/metrics/pod-metrics';
import type { NodeStats } from './stats/node-stats';
import type { LinkState } from './sync/engine-link';
import type { EngineTrouble } from './sync/engine-watch';

/** A scrape of a large node takes a tenth of that. */
const POD_METRICS_MS = 30_000;

export interface ObservabilityParts extends MetricSources {
  readonly stats: Pick<NodeStats, 'podMetrics'>;
  readonly metrics: DaemonMetrics;
  readonly link: {
    readonly state: LinkState;
    readonly trouble: EngineTrouble | undefined;
    readonly hasSynced: boolean;
  };
  readonly logger: Logger;
}

/** /metrics, /metrics/cadvisor and /healthz. A node that can run pods must not refuse to because of a taken port: that is logged. */
export class Observability {
  private readonly endpoint: Endpoint | undefined;

  constructor(
    { metricsAddress, runDir }: Pick<Settings, 'metricsAddress' | 'runDir'>,
    private readonly parts: ObservabilityParts,
  ) {
    if (metricsAddress === 'off') return;
    const { metrics, logger, link, stats } = parts;
    const podMetrics = coalesce(() =>
      withDeadline('Reading pod metrics', POD_METRICS_MS, undefined, (limit) => stats.podMetrics(limit)),
    );
    this.endpoint = new Endpoint({
      address: metricsAddress === 'run-dir' ? { path: join(runDir, 'metrics.sock') } : metricsAddress,
      pages: {
        '/metrics': async () => ({
          status: 200,
          contentType: metrics.contentType,
          body: await metrics.render(parts),
        }),
        '/metrics/cadvisor': async () => ({
          status: 200,
          contentType: metrics.contentType,
          body: exposition(METRIC_DESCRIPTORS, (await podMetrics()).flatMap(samplesOf)),
        }),
        '/healthz': () => Promise.resolve(healthPage(checks(link, parts.logs))),
      },
      logger,
    });
  }

  /** @returns where they are; 'off' when nowhere. */
  async start(): Promise<string> {
    try {
      return (await this.endpoint?.listen()) ?? 'off';
    } catch (error) {
      this.parts.logger.error('Metrics and health cannot be served; all else goes on', {
        error: messageOf(error),
      });
      return 'off';
    }
  }

  async stop(): Promise<void> {
    await this.endpoint?.close();
  }
}

function samplesOf({ samples, containers }: PodMetrics): MetricSample[] {
  return [...samples, ...containers.flatMap((container) => container.samples)];
}

/** The daemon serves once it has read the Engine, and while it can reach it. */
function checks(
  { state, trouble, hasSynced }: ObservabilityParts['link'],
  logs: ObservabilityParts['logs'],
): HealthCheck[] {
  const stuck = trouble?.isStuck === true ? trouble.message : undefined;
  return [
    { name: 'engine', problem: state.ready ? stuck : state.reason },
    { name: 'store', problem: hasSynced ? undefined : 'the Engine has not been read yet' },
    { name: 'logs', problem: logs.trouble?.message },
  ];
}
