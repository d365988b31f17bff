import type { EngineEvent } from '../engine/types';
import { unavailable } from '../lib/errors';
import type { DockerClient } from './client';
import { toRuntimeError } from './errors';
import { readJsonLines } from './streams';

/**
 * Events that may change a record. The Engine's exec and health events are left out, because they would only cost time.
 */
const FILTERS = {
  type: ['container', 'image', 'daemon'],
  event: [
    // dockerd has reread its configuration.
    'reload',
    ...['create', 'start', 'die', 'oom', 'destroy', 'pause', 'unpause', 'rename', 'update'],
    // Pushes are included because a push gives an image its digest.
    ...['pull', 'push', 'tag', 'untag', 'delete', 'import', 'load'],
  ],
} as const;

export interface EventFeed {
  /**
   * Calls `onEvent` for each event until the Engine ends the stream or the signal fires, and then always rejects.
   * `onEvent` must be quick, because the Engine drops events when they are read too slowly, and it must not throw.
   */
  consume(onEvent: (event: EngineEvent) => void): Promise<never>;
}

/**
 * Subscribes to the Engine's events. Resolves once the Engine has accepted the subscription, so that no later event is
 * missed.
 */
export async function openEventFeed(client: DockerClient, signal: AbortSignal): Promise<EventFeed> {
  const stream = await client.events(FILTERS, { signal });
  return {
    consume: async (onEvent) => {
      try {
        for await (const event of readJsonLines<EngineEvent>(stream)) onEvent(event);
      } catch (error) {
        throw toRuntimeError(error, signal);
      }
      throw unavailable('Docker Engine ended the event stream');
    },
  };
}
