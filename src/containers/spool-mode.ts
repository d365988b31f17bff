import { hasStatus } from '../docker/errors';
import type { Logger } from '../lib/logger';
import type { EngineContainerCreate } from '../engine/types';

/** What the Engine may hold of a container's output in memory where it cannot be told to block. */
const BUFFER = '64m';

/**
 * Creates containers on Engines whose own `log-opts` contradict ours. The Engine adds its options to those of the request;
 * with `max-buffer-size` among them it refuses `mode=blocking`, and nobody can take that option away again. What is left is
 * its non-blocking mode with a large buffer, which drops output when the Engine's disk is slower than the container for that
 * long, and before Engine 23 also the last write of a container that ends right after it (moby/moby#42316).
 *
 * Only the Engine knows its options, and a refusal (400) does not say which key is wrong but in words. So the second
 * request decides: one that is refused for another reason is refused again, and in its words, for the first may have been
 * about the log only.
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
