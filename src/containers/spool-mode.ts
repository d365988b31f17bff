import { hasStatus } from '../docker/errors';
import type { Logger } from '../lib/logger';
import type { EngineContainerCreate } from '../engine/types';

/** How much of a container's output the Engine may hold in memory where it cannot be told to block. */
const BUFFER = '64m';

/**
 * Creates containers on Engines whose own `log-opts` contradict ours. The Engine adds its options to those of the request;
 * with `max-buffer-size` among them it refuses `mode=blocking`, and a request cannot remove that option. What is left is the
 * non-blocking mode with a large buffer. It drops output when the Engine's disk is slower than the container until the buffer
 * is full, and before Engine 23 also the last write of a container that ends right after it (moby/moby#42316).
 *
 * Only the Engine knows its options, and only the text of a refusal (400) says which key is wrong. So a second request
 * decides: if the cause was another one, it is refused too, and its words count, because the first refusal may have been about
 * the log only.
 */
export class SpoolMode {
  private told = false;

  constructor(private readonly logger: Logger) {}

  /** @param send creates a container of that body, and returns its id. */
  async create(
    body: EngineContainerCreate,
    send: (body: EngineContainerCreate) => Promise<string>,
  ): Promise<string> {
    try {
      return await send(body);
    } catch (error) {
      const buffered = withBuffer(body);
      if (buffered === undefined || !hasStatus(error, 400)) throw error;
      const id = await send(buffered);
      this.tell();
      return id;
    }
  }

  private tell(): void {
    if (this.told) return;
    this.told = true;
    this.logger.warn(
      'Docker Engine buffers the output of containers: log-opts in its daemon.json set max-buffer-size. Remove mode and max-buffer-size there, or output may be lost',
      { buffer: BUFFER },
    );
  }
}

function withBuffer(body: EngineContainerCreate): EngineContainerCreate | undefined {
  const { LogConfig: log } = body.HostConfig;
  if (log?.Config.mode !== 'blocking') return undefined;
  const Config = { ...log.Config, mode: 'non-blocking', 'max-buffer-size': BUFFER };
  return { ...body, HostConfig: { ...body.HostConfig, LogConfig: { ...log, Config } } };
}
