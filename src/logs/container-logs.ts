/** The place where kubelet expects a container's output. */
export interface LogPlace {
  readonly containerId: string;
  /** Absolute path of the CRI log: `log_directory/log_path` of the CRI configuration. */
  readonly logPath: string;
  /** `log_directory` of the pod; '' when it is not known. */
  readonly logDirectory?: string | undefined;
}

/** One container's output: the spool to which the Engine writes it, and the place where kubelet expects it. */
export interface LogSource extends LogPlace {
  /** The Engine's json-file spool (`LogPath` of inspect). Rotated files are next to it, with the suffixes `.1`, `.2`, … */
  readonly spoolPath: string;
  /**
   * Whether the container had already ended when dockbridge first saw it. If its log is a link at that time, the link stays.
   */
  readonly hasEnded?: boolean;
  /**
   * `State.StartedAt` of inspect. If we were down when the container started, this time shows whether the spool has been
   * rotated since then. The log then gets a note about the gap.
   */
  readonly startedAt?: string;
}

export interface LogTrouble {
  /** The reason of a CRI condition, in CamelCase. */
  readonly reason: 'LogsHang' | 'LogsWithoutThread';
  readonly message: string;
}

/** The result of handing over a log. */
export interface RelinkedLog {
  /** False when the log was already a link to the spool. */
  readonly changed: boolean;
  /** The file name that our copy of the output has from now on; '' if there is no copy. */
  readonly keptAs: string;
}

/**
 * Turns the Engine's json-file spools into CRI log files. All methods are safe to call concurrently and repeatedly, for known
 * and unknown ids.
 */
export interface ContainerLogs {
  /**
   * Follows a container from its saved position; resolves when the file at `logPath` exists. Idempotent. Rejects (INTERNAL)
   * when the file cannot be created, but keeps trying: the container stays followed until `forget`. If a link to the spool is
   * at `logPath`, as cri-dockerd makes it (ADR 0028), the link stays until `reopen` or `drain`.
   */
  follow(source: LogSource): Promise<void>;
  /**
   * Resolves when everything that the spool contained at the time of the call is in the CRI log. Never rejects; failures are
   * logged.
   */
  drain(containerId: string): Promise<void>;
  /** Follows and drains a container that never started according to the Engine. Does nothing if the container has no output. */
  salvage(source: LogSource): Promise<void>;
  /** Writes a file at `logPath` that explains why there is no log, unless something is at `logPath` already. */
  note(place: LogPlace, text: string): Promise<void>;
  /**
   * Called after kubelet has renamed the file. Resolves when a new file exists at `logPath` and the old one is closed. Rejects
   * with NOT_FOUND when the container is not followed.
   */
  reopen(containerId: string): Promise<void>;
  /** Called when the container is removed. Stops following it and deletes the saved position; the CRI log file stays. */
  forget(containerId: string): Promise<void>;
  /** Deletes the saved positions of all containers except these. Called after the resync at start-up. */
  retain(containerIds: ReadonlySet<string>): Promise<void>;
  /**
   * Prepares the log of a running container for the runtime that replaces us: the log becomes a link to the spool, and our copy
   * stays next to the link under another name (log-link.ts). After that, this object ignores the container. May be repeated, and
   * also accepts containers that are not followed. Rejects when the link cannot be made or when the copy is incomplete.
   */
  handOver(source: LogSource): Promise<RelinkedLog>;
  /** Saves all positions and stops following all containers. */
  close(): Promise<void>;
  /** A problem with the logs that an operator should know about; undefined when there is none. */
  readonly trouble?: LogTrouble | undefined;
  /** Counters for the metrics endpoint. */
  stats?(): Promise<LogStats>;
}

/** Counters since the start of the process, kept by the log worker. */
export interface LogStats {
  /** Number of containers that are followed now. */
  followed: number;
  /** Bytes of spools that are not in CRI logs yet. This number and `largestLagBytes` are determined on request. */
  lagBytes: number;
  /**
   * The same number for the container that is furthest behind. If this lag exceeds the size of the container's spool, output is
   * lost.
   */
  largestLagBytes: number;
  /** Spool records copied. */
  records: number;
  /** Spool bytes read. */
  bytes: number;
  /** How often the Engine discarded output before it was copied. Each time, a line in the log file notes it. */
  gaps: number;
  /** Spool records that could not be parsed. For each of them, a line in the log file notes it. */
  unreadable: number;
  /** How often a container's log stopped because of a file system error. */
  stalls: number;
}

export function emptyLogStats(): LogStats {
  const lags = { lagBytes: 0, largestLagBytes: 0 };
  return { followed: 0, ...lags, records: 0, bytes: 0, gaps: 0, unreadable: 0, stalls: 0 };
}
