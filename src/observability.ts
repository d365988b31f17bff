import { join } from 'node:path';
import type { Settings } from './config/options';
import { coalesce } from './lib/async/shared-work';
import { withDeadline } from './lib/async/deadline';
import { messageOf } from './lib/errors';
import type { Logger } from './lib/logger';
import type { DaemonMetrics } from './metrics/daemon-metrics';
import { Endpoint, type EndpointOptions, exposition, type HealthCheck, healthPage } from './metrics/endpoint';
import type { MetricSources } from './metrics/sources';
import type { MetricSample, PodMetrics } from './stats/metrics/metric';
import { METRIC_DESCRIPTORS } from './stats/metrics/pod-metrics';
import type { NodeStats } from './stats/node-stats';
import type { LinkState } from './sync/link-state';
import type { EngineTrouble } from './sync/engine-watch';

/** Time limit in ms of reading pod metrics. A scrape of a large node takes a tenth of this. */
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

type MetricsSettings = Pick<Settings, 'metricsAddress' | 'metricsBindAddr' | 'runDir'>;

/**
 * Serves /metrics, /metrics/cadvisor and /healthz. If an address is in use, this is only logged, because the node can run pods
 * without these pages.
 */
export class Observability {
  private readonly endpoints: readonly Endpoint[];

  constructor(
    { metricsAddress, metricsBindAddr, runDir }: MetricsSettings,
    private readonly parts: ObservabilityParts,
  ) {
    const { metrics, logger, link, stats } = parts;
    const podMetrics = coalesce(() =>
      withDeadline('Reading pod metrics', POD_METRICS_MS, undefined, (limit) => stats.podMetrics(limit)),
    );
    const pages: EndpointOptions['pages'] = {
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
    };
    const addresses: EndpointOptions['address'][] = [];
    if (metricsAddress === 'run-dir') addresses.push({ path: join(runDir, 'metrics.sock') });
    else if (metricsAddress !== 'off') addresses.push(metricsAddress);
    if (metricsBindAddr !== undefined) addresses.push(metricsBindAddr);
    for (const address of addresses)
      if ('host' in address && !isLoopback(address.host))
        logger.warn(
          'Metrics, including the names of pods, are served to everybody who can reach this address, because there is neither TLS nor authentication',
          { address: `${address.host}:${address.port}` },
        );
    this.endpoints = addresses.map((address) => new Endpoint({ address, pages, logger }));
  }

  /** @returns the addresses on which the pages are served, comma-separated; 'off' when there are none. */
  async start(): Promise<string> {
    const places = await Promise.all(this.endpoints.map((endpoint) => this.open(endpoint)));
    return places.filter((place) => place !== undefined).join(', ') || 'off';
  }

  async stop(): Promise<void> {
    await Promise.all(this.endpoints.map((endpoint) => endpoint.close()));
  }

  private async open(endpoint: Endpoint): Promise<string | undefined> {
    try {
      return await endpoint.listen();
    } catch (error) {
      this.parts.logger.error('Metrics and health cannot be served; everything else continues', {
        error: messageOf(error),
      });
      return undefined;
    }
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function samplesOf({ samples, containers }: PodMetrics): MetricSample[] {
  return [...samples, ...containers.flatMap((container) => container.samples)];
}

/**
 * Returns the checks of /healthz. The daemon can serve once it has read the Engine's pods, as long as it can reach the Engine.
 */
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
