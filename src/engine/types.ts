/**
 * The Engine API's JSON, just the parts we write or read (API 1.41 and later, names as on the wire). Optional means
 * that some Engine version leaves it out or sends null.
 */

export interface EngineVersion {
  Version: string;
  ApiVersion: string;
  /** The oldest API that it still speaks. */
  MinAPIVersion?: string;
  /** In Go's words: `linux`, `amd64`. */
  Os: string;
  Arch: string;
}

export interface EngineInfo {
  /** Missing if another program only speaks the Engine's API. */
  ID?: string;
  DockerRootDir: string;
  CgroupDriver: string;
  CgroupVersion?: string;
  Driver: string;
  /** Pairs of name and value; `driver-type` `io.containerd.snapshotter.v1` is the containerd image store. */
  DriverStatus?: [string, string][] | null;
  DefaultRuntime: string;
  /** `status` from API 1.44 on. */
  Runtimes?: Record<string, { status?: Record<string, string> | null }> | null;
  /** From API 1.44 on; empty while the feature `cdi` is off. */
  CDISpecDirs?: string[] | null;
  SecurityOptions?: string[] | null;
  OperatingSystem: string;
  KernelVersion: string;
  ExperimentalBuild?: boolean;
}

export interface EngineMount {
  /** `image` from API 1.48 on; the last two occur only in containers of others. */
  Type: 'bind' | 'image' | 'volume' | 'tmpfs';
  /** A path of the host, an image's id, or a volume's name; none for tmpfs and a nameless volume. */
  Source?: string;
  Target: string;
  /** The Engine leaves false out when it answers. */
  ReadOnly?: boolean;
  BindOptions?: {
    Propagation?: 'rprivate' | 'rshared' | 'rslave';
    ReadOnlyNonRecursive?: boolean;
    /** From API 1.44 on, with rprivate only. */
    ReadOnlyForceRecursive?: boolean;
  };
  ImageOptions?: { Subpath?: string };
}

/** A mount of any kind, as it was made. */
export interface EngineMountPoint {
  Type: string;
  /** Where it is on the Engine's machine, a volume's directory too; none for tmpfs. */
  Source?: string;
  Destination: string;
  /** The options of a bind as given. */
  Mode?: string;
  RW: boolean;
}

export interface EnginePortBinding {
  HostIp: string;
  HostPort: string;
}

/** What can change in a container; body of `POST /containers/{id}/update`, in which a missing field means "unchanged". */
export interface EngineResources {
  /** Bytes. */
  Memory?: number;
  /** Bytes, memory plus swap; -1 is unlimited. */
  MemorySwap?: number;
  CpuShares?: number;
  CpuPeriod?: number;
  CpuQuota?: number;
  CpusetCpus?: string;
  CpusetMems?: string;
  /** -1 is unlimited. */
  PidsLimit?: number | null;
}

export interface EngineHostConfig extends EngineResources {
  NetworkMode?: string;
  IpcMode?: string;
  PidMode?: string;
  UTSMode?: string;
  CgroupParent?: string;
  Runtime?: string;
  Privileged?: boolean;
  ReadonlyRootfs?: boolean;
  CapAdd?: string[] | null;
  CapDrop?: string[] | null;
  GroupAdd?: string[] | null;
  SecurityOpt?: string[] | null;
  MaskedPaths?: string[] | null;
  ReadonlyPaths?: string[] | null;
  Sysctls?: Record<string, string> | null;
  Dns?: string[] | null;
  DnsSearch?: string[] | null;
  DnsOptions?: string[] | null;
  PortBindings?: Record<string, EnginePortBinding[] | null> | null;
  Mounts?: EngineMount[] | null;
  /** `SOURCE:TARGET:OPTIONS`. */
  Binds?: string[] | null;
  /** Options by path. */
  Tmpfs?: Record<string, string> | null;
  Devices?: { PathOnHost: string; PathInContainer: string; CgroupPermissions: string }[] | null;
  DeviceCgroupRules?: string[] | null;
  DeviceRequests?: { Driver: string; DeviceIDs: string[] }[] | null;
  OomScoreAdj?: number;
  RestartPolicy?: { Name: string };
  LogConfig?: { Type: string; Config: Record<string, string> };
  ShmSize?: number;
  Init?: boolean;
  UsernsMode?: string;
  CgroupnsMode?: string;
}

/** Body of `POST /containers/create`. */
export interface EngineContainerCreate {
  Image: string;
  Entrypoint?: string[] | null;
  Cmd?: string[] | null;
  Env?: string[];
  WorkingDir?: string;
  User?: string;
  Hostname?: string;
  Labels: Record<string, string>;
  ExposedPorts?: Record<string, Record<string, never>>;
  OpenStdin?: boolean;
  StdinOnce?: boolean;
  Tty?: boolean;
  StopSignal?: string;
  Healthcheck?: { Test: string[] };
  HostConfig: EngineHostConfig;
}

/** `GET /containers/{id}/json`. */
export interface EngineContainerInspect {
  Id: string;
  Name: string;
  Created: string;
  /** Image id, `sha256:…`. */
  Image: string;
  LogPath?: string;
  ResolvConfPath?: string;
  State: {
    Status: string;
    Pid: number;
    ExitCode: number;
    OOMKilled: boolean;
    Error: string;
    StartedAt: string;
    FinishedAt: string;
  };
  Config: {
    Image: string;
    Hostname?: string;
    User?: string;
    Labels?: Record<string, string> | null;
    Tty?: boolean;
    OpenStdin?: boolean;
    StdinOnce?: boolean;
    StopSignal?: string;
  };
  HostConfig: EngineHostConfig;
  Mounts?: EngineMountPoint[] | null;
  NetworkSettings: {
    SandboxKey?: string;
    Networks?: Record<string, { IPAddress?: string; GlobalIPv6Address?: string }> | null;
  };
}

/** `GET /containers/{id}/stats?stream=0&one-shot=1`; for a container that does not run, everything is zero or missing. */
export interface EngineContainerStats {
  read: string;
  cpu_stats: {
    cpu_usage: { total_usage: number; usage_in_usermode?: number; usage_in_kernelmode?: number };
    throttling_data?: { periods: number; throttled_periods: number; throttled_time: number };
  };
  memory_stats: {
    usage?: number;
    max_usage?: number;
    failcnt?: number;
    /** The machine's memory if there is no limit. */
    limit?: number;
    /** The lines of memory.stat, which depend on the cgroup version. */
    stats?: Record<string, number>;
  };
  pids_stats?: { current?: number; limit?: number };
  blkio_stats?: {
    io_service_bytes_recursive?: EngineBlkioEntry[] | null;
    io_serviced_recursive?: EngineBlkioEntry[] | null;
  };
  /** By interface; missing on the host's network and on one that the Engine did not set up. */
  networks?: Record<string, EngineInterfaceStats>;
}

export interface EngineBlkioEntry {
  major: number;
  minor: number;
  op: string;
  value: number;
}

export interface EngineInterfaceStats {
  rx_bytes: number;
  rx_packets: number;
  rx_errors: number;
  rx_dropped: number;
  tx_bytes: number;
  tx_packets: number;
  tx_errors: number;
  tx_dropped: number;
}

/** One element of `GET /containers/json`. */
export interface EngineContainerSummary {
  Id: string;
  Names: string[];
  ImageID: string;
  Image: string;
  /** Seconds since the epoch. */
  Created: number;
  State: string;
  Labels?: Record<string, string> | null;
  HostConfig?: { NetworkMode?: string };
  NetworkSettings?: EngineContainerInspect['NetworkSettings'];
}

/** One element of `GET /images/json`. */
export interface EngineImageSummary {
  Id: string;
  RepoTags?: string[] | null;
  RepoDigests?: string[] | null;
  Size: number;
  Labels?: Record<string, string> | null;
}

/** `GET /images/{name}/json`. */
export interface EngineImageInspect {
  Id: string;
  RepoTags?: string[] | null;
  RepoDigests?: string[] | null;
  Size: number;
  Architecture?: string;
  Os?: string;
  Created?: string;
  Config?: EngineImageConfig | null;
}

/** The image's defaults for its containers. */
export interface EngineImageConfig {
  User?: string;
  StopSignal?: string;
  Labels?: Record<string, string> | null;
  Env?: string[] | null;
  Entrypoint?: string[] | null;
  Cmd?: string[] | null;
  WorkingDir?: string;
  ExposedPorts?: Record<string, object> | null;
  Volumes?: Record<string, object> | null;
}

/** `GET /distribution/{name}/json`. */
export interface EngineManifest {
  /** Empty or of one unknown architecture where the registry does not say. */
  Platforms?: { os?: string; architecture?: string }[] | null;
}

/**
 * `GET /system/df`; bytes. From API 1.52 (Engine 29) on it has sums, beside which `LayersSize` and `Containers` are only
 * kept for a while; a sum of 0 is left out.
 */
export interface EngineDiskUsage {
  /** All layers of all images, each counted once; left out by Engines that no longer say so. */
  LayersSize?: number;
  Containers?: { SizeRw?: number }[] | null;
  ImageUsage?: { TotalSize?: number };
  ContainerUsage?: { TotalSize?: number };
}

/** One message of `GET /events`. */
export interface EngineEvent {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  /** Nanoseconds since the epoch; above 2^53, so the last digits are rounded by JSON. */
  timeNano: number;
}

/** One message of a pull's or import's progress stream. */
export interface EngineProgress {
  id?: string;
  status?: string;
  error?: string;
  errorDetail?: { code?: number; message?: string };
  progressDetail?: { current?: number; total?: number };
}

/** `GET /exec/{id}/json`. */
export interface EngineExecInspect {
  ID: string;
  Running: boolean;
  ExitCode: number | null;
  /** Host pid; 0 before start. */
  Pid: number;
}

/** Registry credentials in the form the Engine takes them (`X-Registry-Auth`). */
export interface EngineAuth {
  username?: string;
  password?: string;
  serveraddress?: string;
  identitytoken?: string;
  registrytoken?: string;
}
