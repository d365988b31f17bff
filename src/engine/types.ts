/**
 * The parts of the Engine API's JSON that dockbridge writes or reads (API 1.41 and later, names as on the wire). A field
 * is optional when some Engine version omits it or sends null.
 */

export interface EngineVersion {
  Version: string;
  ApiVersion: string;
  /** The oldest API version that the Engine supports. */
  MinAPIVersion?: string;
  /** Go's names, such as `linux` and `amd64`. */
  Os: string;
  Arch: string;
  /** The programs on which the Engine runs, such as `containerd`. */
  Components?: readonly { readonly Name: string; readonly Version: string }[] | null;
}

export interface EngineInfo {
  /** Missing when the server is not Docker Engine but only implements its API. */
  ID?: string;
  DockerRootDir: string;
  CgroupDriver: string;
  CgroupVersion?: string;
  Driver: string;
  /** Pairs of name and value. With the containerd image store, `driver-type` is `io.containerd.snapshotter.v1`. */
  DriverStatus?: [string, string][] | null;
  DefaultRuntime: string;
  /** `status` exists from API 1.44 on. */
  Runtimes?: Record<string, { status?: Record<string, string> | null }> | null;
  /** Exists from API 1.44 on; empty while the feature `cdi` is off. */
  CDISpecDirs?: string[] | null;
  SecurityOptions?: string[] | null;
  OperatingSystem: string;
  KernelVersion: string;
  ExperimentalBuild?: boolean;
  /** The containerd in use. Exists from API 1.46 on. */
  Containerd?: { Address?: string; Namespaces?: { Containers?: string } } | null;
}

export interface EngineMount {
  /** `image` exists from API 1.48 on. `volume` and `tmpfs` occur only in containers that dockbridge did not create. */
  Type: 'bind' | 'image' | 'volume' | 'tmpfs';
  /** A host path, an image's id or a volume's name. Missing for a tmpfs and for a volume without a name. */
  Source?: string;
  Target: string;
  /** The Engine omits this field from answers when it is false. */
  ReadOnly?: boolean;
  BindOptions?: {
    Propagation?: 'rprivate' | 'rshared' | 'rslave';
    ReadOnlyNonRecursive?: boolean;
    /** Exists from API 1.44 on, and only with rprivate. */
    ReadOnlyForceRecursive?: boolean;
  };
  ImageOptions?: { Subpath?: string };
}

/** A mount of any kind, as the Engine has made it. */
export interface EngineMountPoint {
  Type: string;
  /** The path on the Engine's machine, also for a volume; missing for a tmpfs. */
  Source?: string;
  Destination: string;
  /** The options of a bind mount as requested. */
  Mode?: string;
  RW: boolean;
}

export interface EnginePortBinding {
  HostIp: string;
  HostPort: string;
}

/**
 * The settings of a container that can be changed. In the body of `POST /containers/{id}/update`, a missing field means
 * "unchanged".
 */
export interface EngineResources {
  /** In bytes. */
  Memory?: number;
  /** Bytes of memory plus swap; -1 means unlimited. */
  MemorySwap?: number;
  CpuShares?: number;
  CpuPeriod?: number;
  CpuQuota?: number;
  CpusetCpus?: string;
  CpusetMems?: string;
  /** -1 means unlimited. */
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
  /** Each element has the form `SOURCE:TARGET:OPTIONS`. */
  Binds?: string[] | null;
  /** Mount options, keyed by path. */
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

/**
 * `GET /containers/{id}/stats?stream=0&one-shot=1`. For a container that does not run, every value is zero or missing.
 */
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
    /** The machine's memory when the container has no limit. */
    limit?: number;
    /** The lines of memory.stat. Their names depend on the cgroup version. */
    stats?: Record<string, number>;
  };
  pids_stats?: { current?: number; limit?: number };
  blkio_stats?: {
    io_service_bytes_recursive?: EngineBlkioEntry[] | null;
    io_serviced_recursive?: EngineBlkioEntry[] | null;
  };
  /** Keyed by interface. Missing for a container on the host's network or on a network that the Engine did not set up. */
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
  /** Empty, or a single platform of unknown architecture, when the registry does not report the platforms. */
  Platforms?: { os?: string; architecture?: string }[] | null;
}

/**
 * `GET /system/df`, all values in bytes. From API 1.52 (Engine 29) on, the answer contains sums; a sum of 0 is omitted.
 * `LayersSize` and `Containers` are older fields, which the Engine will drop later.
 */
export interface EngineDiskUsage {
  /** The size of all layers of all images, where each layer counts once. Newer Engines omit this field. */
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
  /** Nanoseconds since the epoch. The value exceeds 2^53, so parsing the JSON rounds its last digits. */
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
  /** Host pid; 0 before the exec is started. */
  Pid: number;
}

/** Registry credentials in the form that the Engine accepts (`X-Registry-Auth`). */
export interface EngineAuth {
  username?: string;
  password?: string;
  serveraddress?: string;
  identitytoken?: string;
  registrytoken?: string;
}
