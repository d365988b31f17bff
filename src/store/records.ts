import type Long from 'long';
import type { MountPropagation, NamespaceMode } from '../proto/enums';

/**
 * The Engine's container states (`State.Status`). `unknown` is dockbridge's own, for a container that cannot be
 * inspected.
 */
export type EngineState =
  'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead' | 'unknown';

export type StringMap = Readonly<Record<string, string>>;

/** The namespace modes of a pod, as CRI's NamespaceMode numbers (proto/enums.ts). */
export interface NamespaceModes {
  readonly network: NamespaceMode;
  readonly pid: NamespaceMode;
  readonly ipc: NamespaceMode;
  readonly targetId: string;
}

export interface SandboxMetadata {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly attempt: number;
}

interface EngineContainerRecord {
  /** The Engine's full container id, which is also the CRI id. */
  readonly id: string;
  /** The Engine's container name, without the leading slash. */
  readonly engineName: string;
  readonly labels: StringMap;
  readonly annotations: StringMap;
  /** Nanoseconds since the epoch; never 0. */
  readonly createdAt: Long;
  readonly state: EngineState;
  /** Host pid of the first process; 0 while the container is not running. */
  readonly pid: number;
  /**
   * Digests of the request's fields by path. Undefined for containers that cri-dockerd or an older dockbridge created.
   */
  readonly contents: StringMap | undefined;
}

/**
 * A pod sandbox: the pause container and what CRI knows about it. Records are immutable, so a change creates a new
 * record.
 */
export interface SandboxRecord extends EngineContainerRecord {
  readonly kind: 'sandbox';
  readonly metadata: SandboxMetadata;
  /** The requested runtime handler; '' is the default handler. */
  readonly runtimeHandler: string;
  /**
   * The Engine runtime of the sandbox. If the request named none, this is the default of daemon.json at the sandbox's
   * creation. The pod's containers use the same runtime even if the default changes later. '' where the Engine does not
   * report the runtime.
   */
  readonly runtime: string;
  /** The pause container's network mode in the Engine: `none` for CNI, `host`, or the name of an Engine network. */
  readonly networkMode: string;
  /** Whether the pod's network is set up. False until the setup ends, after the pod's stop, and if the setup failed. */
  readonly networkReady: boolean;
  /** Whether a stop or removal of the pod has begun. From then on, nothing starts in the pod, even if the stop fails. */
  readonly stopping: boolean;
  readonly namespaces: NamespaceModes;
  readonly hostname: string;
  readonly logDirectory: string;
  readonly cgroupParent: string;
  readonly privileged: boolean;
  /** Pod IPs, primary first; empty for a pod on the host's network. */
  readonly ips: readonly string[];
  /** The id of the pause container's image, equal to an Image.id. */
  readonly imageId: string;
}

/**
 * A container that does not belong to a pod. Only its image matters, because image garbage collection must keep that
 * image.
 */
export interface ForeignRecord {
  readonly id: string;
  readonly engineName: string;
  readonly imageId: string;
}

/** The image of an image mount. */
export interface MountImageRecord {
  /** The image reference as requested. */
  readonly image: string;
  readonly userSpecified: string;
  readonly annotations: StringMap;
  readonly subPath: string;
  /** The Engine's image id, which PullImage (image_ref) and ContainerStatus also return; '' until it was looked up. */
  readonly id: string;
}

/** A CRI mount as requested. ContainerStatus returns its values unchanged. */
export interface MountRecord {
  readonly containerPath: string;
  /** '' for an image mount, which has no path on the host. */
  readonly hostPath: string;
  readonly readonly: boolean;
  readonly selinuxRelabel: boolean;
  readonly propagation: MountPropagation;
  readonly recursiveReadOnly: boolean;
  readonly image?: MountImageRecord;
}

/** Values of a container's control group for which the Engine API has no field. All values are text. */
export interface KernelValues {
  /** Limits in bytes, keyed by page size (`2MB`). */
  readonly hugepages: StringMap;
  /** Contents of cgroup v2 files, keyed by file name. */
  readonly unified: StringMap;
}

/** LinuxContainerResources as the Engine and the kernel hold them; 0 or '' means not set. */
export interface ResourcesRecord extends KernelValues {
  readonly cpuPeriod: number;
  readonly cpuQuota: number;
  readonly cpuShares: number;
  /** In bytes. */
  readonly memoryLimit: number;
  /** Bytes of memory plus swap. */
  readonly memorySwapLimit: number;
  readonly oomScoreAdj: number;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  /** 0 means no limit. */
  readonly pidsLimit: number;
}

/** The user and groups that a container's first process runs as. */
export interface UserRecord {
  readonly uid: number;
  readonly gid: number;
  /** Group ids in ascending order, including the primary group. */
  readonly groups: readonly number[];
}

export interface ContainerRecord extends EngineContainerRecord {
  readonly kind: 'container';
  readonly sandboxId: string;
  readonly metadata: { readonly name: string; readonly attempt: number };
  /** Nanoseconds since the epoch; 0 until the container has started. */
  readonly startedAt: Long;
  /** Nanoseconds since the epoch; 0 until the container has exited. */
  readonly finishedAt: Long;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** The Engine's `State.Error`, which explains why a start failed. */
  readonly error: string;
  /** `image.image` of the requested container configuration. */
  readonly image: string;
  readonly userSpecifiedImage: string;
  readonly imageAnnotations: StringMap;
  /** The Engine's image id, equal to an Image.id. */
  readonly imageId: string;
  readonly mounts: readonly MountRecord[];
  readonly resources: ResourcesRecord;
  /** Undefined for containers that dockbridge did not create. */
  readonly user: UserRecord | undefined;
  /** Absolute path of the CRI log; '' when the request named none. */
  readonly logPath: string;
  /** Path of the Engine's json-file; '' until it is known. */
  readonly spoolPath: string;
  /**
   * Whether cri-dockerd or dockershim created the container. If so, that runtime may already have reported a failed start
   * to kubelet, and the status must not change.
   */
  readonly madeByOthers: boolean;
  /** The Engine's log driver; '' until it is known. */
  readonly logDriver: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  /** Signal name such as SIGTERM; '' when neither image nor request names a signal. */
  readonly stopSignal: string;
}

export interface ImageRecord {
  /** `sha256:…`, which CRI returns as Image.id, PullImage's image_ref and every image_id. */
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  /** Bytes of all layers. */
  readonly size: number;
  /** `Config.User` of the image: `user[:group]`. */
  readonly user: string;
  readonly stopSignal: string;
  readonly labels: StringMap;
  /** OCI image configuration, which a verbose ImageStatus returns. */
  readonly spec: object;
}

/** Disk space of images and containers in bytes, as the Engine measured it. */
export interface DiskUsageRecord {
  /** Bytes of all image layers, where a shared layer counts once. Undefined from an Engine that does not report them. */
  readonly imageBytes: number | undefined;
  /** Bytes of all writable layers. */
  readonly containerBytes: number;
}

/** What dockbridge knows about the Engine itself. It is read at each connect. */
export interface EngineFacts {
  /** The Engine's id, which restarts do not change as long as its data remains; '' when the Engine has none. */
  readonly id: string;
  readonly engineVersion: string;
  readonly apiVersion: string;
  /** The Engine's operating system and architecture, such as `linux/amd64`. */
  readonly platform: string;
  /** The Engine's data directory (`DockerRootDir`). */
  readonly rootDir: string;
  /**
   * The directory that contains all images and writable layers, or `rootDir` where dockbridge cannot look at the Engine's
   * disk.
   */
  readonly imageDirectory: string;
  readonly cgroupDriver: string;
  readonly runtimes: readonly string[];
  readonly defaultRuntime: string;
  /** Runtimes that report support for recursively read-only mounts. */
  readonly recursiveReadOnlyRuntimes: readonly string[];
  /** Whether the Engine accepts CDI devices. */
  readonly cdi: boolean;
  readonly securityOptions: readonly string[];
  readonly storageDriver: string;
  /** Whether containerd stores the images, below its own root. Otherwise the Engine stores them below `rootDir`. */
  readonly containerdStore: boolean;
  readonly operatingSystem: string;
  readonly kernelVersion: string;
  /** Whether the Engine runs with `experimental`, which checkpoints need. */
  readonly experimental: boolean;
  /** The cgroup version of the Engine's machine: `1` or `2`. */
  readonly cgroupVersion: string;
}
