import type { DockerClient } from '../docker/client';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { pause } from '../lib/async/abortable';
import type { Store } from '../store/store';
import type { EngineDiskUsage } from '../engine/types';

/** All times are in ms. */
export interface DiskUsageTimes {
  /** How often to check whether a measurement is due. */
  readonly tick: number;
  /** The time between measurements while images do not change. Even then, containers may write to the disk. */
  readonly quiet: number;
}

const TIMES: DiskUsageTimes = { tick: 10_000, quiet: 5 * 60_000 };
/**
 * To measure, the Engine walks all writable layers. After each measurement, dockbridge therefore waits this many times as
 * long as the measurement took.
 */
const REST_PER_WORK = 20;

export interface DiskUsageParts {
  readonly docker: Pick<DockerClient, 'diskUsage'>;
  readonly store: Store;
  readonly logger: Logger;
  readonly times?: Partial<DiskUsageTimes>;
}

/**
 * Measures the disk space of images and containers in the background, so that ImageFsInfo need not wait for a
 * measurement.
 */
export class DiskUsage {
  private readonly times: DiskUsageTimes;
  // The time of the last measurement is kept over reconnects, because reconnects are frequent while the Engine is in trouble.
  private measuredAt = -Infinity;
  private restMs = 0;
  private measuredImages = -1;

  constructor(private readonly parts: DiskUsageParts) {
    this.times = { ...TIMES, ...parts.times };
  }

  /** Measures until the signal fires, which is when the connection to the Engine ends. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { images } = this.parts.store;
    while (!signal.aborted) {
      const age = performance.now() - this.measuredAt;
      const isStale = images.now !== this.measuredImages || age >= this.times.quiet;
      if (isStale && age >= this.restMs) {
        const started = performance.now();
        this.measuredImages = images.now;
        await this.measure(signal);
        this.measuredAt = performance.now();
        this.restMs = (this.measuredAt - started) * REST_PER_WORK;
      }
      await pause(this.times.tick, signal);
    }
  }

  private async measure(signal: AbortSignal): Promise<void> {
    const { docker, store, logger } = this.parts;
    try {
      const { layers, containers } = sizes(await docker.diskUsage({ signal }));
      // The containerd image store includes writable layers in its size, so they are subtracted.
      const withoutContainers = store.engine?.containerdStore === true ? containers : 0;
      const imageBytes = layers === undefined ? undefined : Math.max(layers - withoutContainers, 0);
      store.diskUsage = { imageBytes, containerBytes: containers };
    } catch (error) {
      // A measurement fails, for example, while another client's `docker system df` runs. The last measurement remains
      // valid.
      if (!signal.aborted) logger.warn('Cannot measure disk usage', { error: messageOf(error) });
    }
  }
}

/** Returns both sizes in bytes. `layers` is undefined where the Engine does not report it. */
function sizes(usage: EngineDiskUsage): { layers: number | undefined; containers: number } {
  const { ImageUsage, ContainerUsage, LayersSize, Containers } = usage;
  return {
    layers: ImageUsage === undefined ? LayersSize : (ImageUsage.TotalSize ?? 0),
    containers:
      ContainerUsage === undefined
        ? (Containers ?? []).reduce((sum, { SizeRw = 0 }) => sum + SizeRw, 0)
        : (ContainerUsage.TotalSize ?? 0),
  };
}
