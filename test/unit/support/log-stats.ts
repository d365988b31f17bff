import type { LogStats } from '../../../src/logs/container-logs';

/** Each number occurs once, so no value can stand for its neighbour. */
export const LOG_STATS: LogStats = {
  followed: 2,
  lagBytes: 300,
  largestLagBytes: 200,
  records: 4,
  bytes: 500,
  gaps: 1,
  unreadable: 6,
  stalls: 7,
};
