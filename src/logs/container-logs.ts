/** Where kubelet wants to read a container's output. */
export interface LogPlace {
  readonly containerId: string;
  /** Absolute path of the CRI log: `log_directory/log_path` of the CRI configuration. */
  readonly logPath: string;
  /** `log_directory` of the pod; '' where it is not known. */
  readonly logDirectory?: string | undefined;
}

/** One container's output: where the Engine spools it and where kubelet wants to read it. */
export interface LogSource extends LogPlace {
  /** The Engine's json-file spool (`LogPath` of inspect); rotated files stand beside it as `.1`, `.2`, … */
  readonly spoolPath: string;
  /** Whether the container had ended when it was first seen. A link in the place of its log then stays. */
  readonly hasEnded?: boolean;
  /**
   * `State.StartedAt` of inspect. If we were down when the container started, this tells whether the spool has been rotated
   * since, so that the log can say so.
   */
  readonly startedAt?: string;
}

export interface LogTrouble {
  /** CamelCase, for a CRI condition. */
  readonly reason: 'LogsHang' | 'LogsWithoutThread';
  readonly message: string;
}

/** What became of a log that was handed over. */
export interface RelinkedLog {
  /** False when it was such a link already. */
  readonly changed: boolean;
  /** The name that our copy has from now on, '' if there is no copy. */
  readonly keptAs: string;
}

/**
 * Turns the Engine's json-file spools into CRI log files. All methods are safe to call concurrently and repeatedly, for known
 * and unknown ids.
 */
export interface ContainerLogs {
  /**
   * Follows a container from its saved position; resolves once the file at `logPath` exists. Idempotent. Rejects
   * (INTERNAL) when the file cannot be made, but goes on trying: the container stays followed until `forget`.
   * A link to the spool in the log's place (cri-dockerd's, ADR 0028) stays until `reopen` or `drain`.
   */
  follow(source: LogSource): Promise<void>;
  /** Resolves once all that the spool held when called is in the CRI log. Never rejects: a failure is logged. */
  drain(containerId: string): Promise<void>;
  /** Follows and drains a container that the Engine says never started, if there is output of it all the same. */
  salvage(source: LogSource): Promise<void>;
  /** Says in the log's place why there is no log, unless something is there already. */
  note(place: LogPlace, text: string): Promise<void>;
  /**
   * After kubelet renamed the file: resolves once a new file exists at `logPath` and the old one is closed.
   * Rejects with NOT_FOUND when the container is not followed.
   */
  reopen(containerId: string): Promise<void>;
  /** The container is removed: stops following and deletes the saved position; the CRI log file stays. */
  forget(containerId: string): Promise<void>;
  /** Forgets saved positions of all containers but these (start-up, after a resync). */
  retain(containerIds: ReadonlySet<string>): Promise<void>;
  /**
   * Gives the log of a running container back to whoever comes after us: it becomes a link to the spool, and what was
   * copied stays beside it (log-link.ts). From then on nothing is done for this container. Repeatable, for containers that
   * are not followed too. Rejects when it cannot be done, or when the copy lacks something.
   */
  handOver(source: LogSource): Promise<RelinkedLog>;
  /** Stops everything, positions saved. */
  close(): Promise<void>;
  /** What hinders logs that an operator should know of; undefined when all is well. */
  readonly trouble?: LogTrouble | undefined;
  /** Counters for the metrics endpoint. */
  stats?(): Promise<LogStats>;
}

/** Counters since the start of the process, kept by the log worker. */
export interface LogStats {
  /** Containers followed now. */
  followed: number;
  /** Bytes of spools that are not in CRI logs yet. This and the next number are determined on request. */
  lagBytes: number;
  /** The same for the one container that is furthest behind. Output beyond the size of its spool is lost. */
  largestLagBytes: number;
  /** Spool records copied. */
  records: number;
  /** Spool bytes read. */
  bytes: number;
  /** How often the Engine discarded output before it was copied; each time has a line in the log file. */
  gaps: number;
  /** Spool records that could not be read; each has a line in its log file. */
  unreadable: number;
  /** How often a container's log stopped because of a file system error. */
  stalls: number;
}

export function emptyLogStats(): LogStats {
  const lags = { lagBytes: 0, largestLagBytes: 0 };
  return { followed: 0, ...lags, records: 0, bytes: 0, gaps: 0, unreadable: 0, stalls: 0 };
}
