import { toRuntimeError } from './errors';
import { unavailable } from '../lib/errors';
import type { EngineEvent } from '../engine/types';
import type { DockerClient } from './client';
import { readJsonLines } from './streams';

/** What changes a record; exec and health events of other containers would only cost. */
const FILTERS = {
  type: ['container', 'image', 'daemon'],
  event: [
    // dockerd has read its configuration anew.
    'reload',
    ...['create', 'start', 'die', 'oom', 'destroy', 'pause', 'unpause', 'rename', 'update'],
    // A push gives an image its digest.
    ...['pull', 'push', 'tag', 'untag', 'delete', 'import', 'load'],
  ],
} as const;

export interface EventFeed {
  /**
   * Hands over each event until the Engine ends the stream or the signal fires; always rejects then. `onEvent` must be
   * quick and must not throw: the Engine drops events of a reader that lags.
   */
  consume(onEvent: (event: EngineEvent) => void): Promise<never>;
}

/** Resolves once the Engine has accepted the subscription: what happens from here on will be told. */
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
