import type { EngineEvent } from '../engine/types';
import { unavailable } from '../lib/errors';
import type { DockerClient } from './client';
import { toRuntimeError } from './errors';
import { readJsonLines } from './streams';

/** Events that change a record. The Engine's exec and health events would only cost time. */
const FILTERS = {
  type: ['container', 'image', 'daemon'],
  event: [
    // dockerd has read its configuration again.
    'reload',
    ...['create', 'start', 'die', 'oom', 'destroy', 'pause', 'unpause', 'rename', 'update'],
    // A push gives an image its digest.
    ...['pull', 'push', 'tag', 'untag', 'delete', 'import', 'load'],
  ],
} as const;

export interface EventFeed {
  /**
   * Calls `onEvent` for each event until the Engine ends the stream or the signal fires, and then always rejects. `onEvent`
   * must be quick and must not throw: the Engine drops events of a slow reader.
   */
  consume(onEvent: (event: EngineEvent) => void): Promise<never>;
}

/** Resolves once the Engine has accepted the subscription, so that all later events will be reported. */
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
