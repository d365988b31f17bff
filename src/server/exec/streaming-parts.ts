import type { Services } from '../services';
import type { Backlog } from './client-output';

/** What each session of an exec or attach works with. */
export type StreamingParts = Pick<
  Services,
  'docker' | 'store' | 'settings' | 'logger' | 'sessions' | 'startedCommands'
> & {
  readonly backlog: Backlog;
};
