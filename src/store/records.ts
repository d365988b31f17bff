import type Long from 'long';
import type { MountPropagation, NamespaceMode } from '../proto/enums';

/** The Engine's container states (`State.Status`); `unknown` is ours, for a container that cannot be inspected. */
export type EngineState =
  'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead' | 'unknown';

export type StringMap = Readonly<Record<string, string>>;

/** CRI NamespaceMode numbers of a pod (proto/enums.ts). */
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
  /** The Engine's full container id: the CRI id. */
  readonly id: string;
  /** The Engine's container name, without the leading slash. */
  readonly engineName: string;
  readonly labels: StringMap;
  readonly annotations: StringMap;
  /** Nanoseconds since the epoch; never 0. */
  readonly createdAt: Long;
  readonly state: EngineState;
  /** Host pid of the first process, 0 when not running. */
  readonly pid: number;
  /** Digests of the request's fields, by path; undefined for containers of cri-dockerd or of an older version. */
  readonly contents: StringMap | undefined;
}

/** A pod sandbox: the pause container and what CRI knows about it. Records are immutable; a change is a new record. */
export interface SandboxRecord extends EngineContainerRecord {
  readonly kind: 'sandbox';
  readonly metadata: SandboxMetadata;
  /** As requested; '' is the default handler. */
  readonly runtimeHandler: string;
  /**
   * The Engine's runtime that it runs with: daemon.json's default at its creation, where it requested none. Its containers get
   * the same, whatever the default is by then. '' where the Engine does not tell.
   */
  readonly runtime: string;
  /** The pause container's network as the Engine names it: `none` for CNI, `host`, or one of the Engine's own. */
  readonly networkMode: string;
  /** False between the start of the pause process and the end of its network setup. */
  readonly networkReady: boolean;
  /** Whether a stop or a removal of the pod was begun. From then on nothing starts in it, even if that call fails. */
  readonly stopping: boolean;
  readonly namespaces: NamespaceModes;
  readonly hostname: string;
  readonly logDirectory: string;
  readonly cgroupParent: string;
  readonly privileged: boolean;
  /** Pod IPs, primary first; empty on the host's network. */
  readonly ips: readonly string[];
  /** The pause container's image, as Image.id. */
  readonly imageId: string;
}

/** A container that does not belong to a pod. Only the image that it uses matters. */
export interface ForeignRecord {
  readonly id: string;
  readonly engineName: string;
  readonly imageId: string;
}

/** The image of an image mount. */
export interface MountImageRecord {
  /** As requested. */
  readonly image: string;
  readonly userSpecified: string;
  readonly annotations: StringMap;
  readonly subPath: string;
  /** The Engine's image id, which is PullImage's image_ref and ContainerStatus' too; '' until it was looked up. */
  readonly id: string;
}

/** A CRI mount as requested: ContainerStatus returns exactly these. */
export interface MountRecord {
  readonly containerPath: string;
  /** '' for an image mount. */
  readonly hostPath: string;
  readonly readonly: boolean;
  readonly selinuxRelabel: boolean;
  readonly propagation: MountPropagation;
  readonly recursiveReadOnly: boolean;
  readonly image?: MountImageRecord;
}

/** Values of a container's control group that the Engine API has no field for, as text. */
export interface KernelValues {
  /** Bytes by page size (`2MB`). */
  readonly hugepages: StringMap;
  /** cgroup v2 files and what is in them. */
  readonly unified: StringMap;
}

/** LinuxContainerResources as Engine and kernel hold them; 0 or '' means not set. */
export interface ResourcesRecord extends KernelValues {
  readonly cpuPeriod: number;
  readonly cpuQuota: number;
  readonly cpuShares: number;
  /** Bytes. */
  readonly memoryLimit: number;
  /** Bytes, memory plus swap. */
  readonly memorySwapLimit: number;
  readonly oomScoreAdj: number;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  /** 0: not limited. */
  readonly pidsLimit: number;
}

/** The user and groups that a container's first process runs as. */
export interface UserRecord {
  readonly uid: number;
  readonly gid: number;
  /** Ascending, the primary group among them. */
  readonly groups: readonly number[];
}

export interface ContainerRecord extends EngineContainerRecord {
  readonly kind: 'container';
  readonly sandboxId: string;
  readonly metadata: { readonly name: string; readonly attempt: number };
  /** Nanoseconds since the epoch; 0 until started. */
  readonly startedAt: Long;
  /** Nanoseconds since the epoch; 0 until exited. */
  readonly finishedAt: Long;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** The Engine's `State.Error`: why a start failed. */
  readonly error: string;
  /** `image.image` of the CRI configuration. */
  readonly image: string;
  readonly userSpecifiedImage: string;
  readonly imageAnnotations: StringMap;
  /** The Engine's image id: equals Image.id. */
  readonly imageId: string;
  readonly mounts: readonly MountRecord[];
  readonly resources: ResourcesRecord;
  /** Undefined for containers that we did not create. */
  readonly user: UserRecord | undefined;
  /** Absolute path of the CRI log, '' when none was requested. */
  readonly logPath: string;
  /** The Engine's json-file, '' until known. */
  readonly spoolPath: string;
  /** Created by cri-dockerd or dockershim, which have told kubelet already how it ended. */
  readonly madeByOthers: boolean;
  /** The Engine's log driver; '' until known. */
  readonly logDriver: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  /** Signal name such as SIGTERM; '' when neither image nor request names one. */
  readonly stopSignal: string;
}

export interface ImageRecord {
  /** `sha256:…`: Image.id, PullImage's image_ref and every image_id. */
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  /** Bytes, all layers. */
  readonly size: number;
  /** `Config.User` of the image. */
  readonly user: string;
  readonly stopSignal: string;
  readonly labels: StringMap;
  /** OCI image configuration, for verbose status. */
  readonly spec: object;
}

/** How much disk images and containers take, as the Engine measured it; bytes. */
export interface DiskUsageRecord {
  /** Each layer once; undefined from an Engine that does not say. */
  readonly imageBytes: number | undefined;
  /** All writable layers. */
  readonly containerBytes: number;
}

/** What we know about the Engine itself, read at each connect. */
export interface EngineFacts {
  /** Stays the same over restarts, with the data; '' when it has none. */
  readonly id: string;
  readonly engineVersion: string;
  readonly apiVersion: string;
  /** The Engine's own, such as `linux/amd64`. */
  readonly platform: string;
  /** `DockerRootDir`. */
  readonly rootDir: string;
  /** The directory that holds all images and writable layers; `rootDir` where it cannot be seen. */
  readonly imageDirectory: string;
  readonly cgroupDriver: string;
  readonly runtimes: readonly string[];
  readonly defaultRuntime: string;
  /** Runtimes that say they can mount recursively read-only. */
  readonly recursiveReadOnlyRuntimes: readonly string[];
  /** Whether CDI devices can be requested. */
  readonly cdi: boolean;
  readonly securityOptions: readonly string[];
  readonly storageDriver: string;
  /** Whether containerd keeps the images, below its root; else the Engine does, below `rootDir`. */
  readonly containerdStore: boolean;
  readonly operatingSystem: string;
  readonly kernelVersion: string;
  /** Whether it runs with `experimental`, which checkpoints need. */
  readonly experimental: boolean;
  /** The cgroup version of the Engine's machine: `1` or `2`. */
  readonly cgroupVersion: string;
}
