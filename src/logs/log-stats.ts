/** Counters since the start of the process, kept by the follower engine. */
export interface LogStats {
  /** Containers followed now. */
  followed: number;
  /** Bytes of spools that are not in CRI logs yet; the only one that is looked up when asked for. */
  lagBytes: number;
  /** Spool records copied. */
  records: number;
  /** Spool bytes read. */
  bytes: number;
  /** Times that output was discarded by the Engine before it was copied; each has a line in its log file. */
  gaps: number;
  /** Spool records that could not be read; each has a line in its log file. */
  unreadable: number;
  /** Times that a container's log stood still because of a file system error. */
  stalls: number;
}

export function emptyLogStats(): LogStats {
  return { followed: 0, lagBytes: 0, records: 0, bytes: 0, gaps: 0, unreadable: 0, stalls: 0 };
}
