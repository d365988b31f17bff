import type {
  EngineContainerInspect,
  EngineImageInspect,
  EngineImageSummary,
  EngineInfo,
  EngineVersion,
} from '../engine/types';

/**
 * Everything that was read from a node, without any judgement. JSON can hold all of it. It contains no secrets: the gathering
 * removes passwords, tokens and environment variables before they get here.
 */
export interface NodeFacts {
  /** The version of this shape. */
  readonly v: 1;
  /** The directory below which the files were read. All paths in the facts are the node's own, without this directory. */
  readonly root: string;
  readonly host: HostFacts;
  /** The configuration files that exist, by path. */
  readonly files: Readonly<Record<string, FileFacts>>;
  /**
   * The names in directories whose files were not read, by the directory's path. A name in a subdirectory is relative, such as
   * `registry.example:5000/client.key`. A directory that does not exist has no entry.
   */
  readonly directories: Readonly<Record<string, readonly string[]>>;
  /** Files and directories that exist but could not be read, and files that are too large. */
  readonly unreadable: readonly Unreadable[];
  /** The files with registry credentials, by path. */
  readonly credentials: Readonly<Record<string, CredentialFacts>>;
  readonly lines: LineFacts;
  /** Why the CNI plugins cannot do what the configuration wants; '' when they can, and when that was not tried. */
  readonly cniProblem: string;
  /** The paths of programs that a target needs and that exist. Other programs may exist, too. */
  readonly executables: readonly string[];
  /** Undefined when /proc is not visible below the root. */
  readonly processes?: ProcessFacts;
  /** Options that the bridge has from its files and its environment, by name. Its flags are among its arguments, and win. */
  readonly bridgeOptions?: Readonly<Record<string, Sourced>>;
  /** Undefined when the Engine did not answer. */
  readonly engine?: EngineSnapshot;
  /** The reason why there is no `engine`. */
  readonly engineError?: string;
  /** Undefined when there is neither a kubelet process nor a file of a kubelet. */
  readonly kubelet?: KubeletSnapshot;
}

export interface HostFacts {
  readonly hostname: string;
  /** Go's name, such as `amd64`. */
  readonly arch: string;
  readonly kernel: string;
  /** PRETTY_NAME of /etc/os-release; '' when it is not known. */
  readonly os: string;
  /** Undefined when the mounts are not visible. A hybrid host counts as 1. */
  readonly cgroupVersion?: 1 | 2;
  /** The file systems of directories that the migration concerns. */
  readonly disks: readonly DiskFacts[];
  /** The kernel's current values, by the name of the sysctl. A sysctl that does not exist has no entry. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export interface DiskFacts {
  /** The directory, such as `/var/lib/docker`. */
  readonly path: string;
  /** The nearest directory that exists; the path itself if it does. */
  readonly existing: string;
  /** The device number, which is equal for directories on the same file system. */
  readonly device: number;
  readonly isMountPoint: boolean;
  readonly sizeBytes: number;
  /** The bytes that root may still use. */
  readonly freeBytes: number;
}

export interface FileFacts {
  /** The text, with as many lines as the file. `[removed]` stands for each secret. */
  readonly text: string;
  /** SHA-256 of the file's bytes, as 64 hexadecimal digits. */
  readonly sha256: string;
  /** Whether a secret was removed from the text. Whoever needs the file as it is has to read it again. */
  readonly isRedacted: boolean;
}

export interface Unreadable {
  readonly path: string;
  readonly reason: string;
}

/** A docker config.json, without its secrets. */
export interface CredentialFacts {
  /** The registries whose credentials are in the file. */
  readonly registries: readonly string[];
  /** The names of helpers by registry; '' is the key of `credsStore`. */
  readonly helpers: Readonly<Record<string, string>>;
  /** Why the file could not be understood; '' when it was. */
  readonly problem: string;
}

/** Lines of files that are not kept as a whole. */
export interface LineFacts {
  /** Lines in scripts, cron tables and units that run the command `docker`. */
  readonly docker: readonly FoundLine[];
  /** Lines in the configuration of monitoring and of log rotation that mention Docker. */
  readonly monitoring: readonly FoundLine[];
  /** Lines in the configuration of log shippers, on the node and in the ConfigMaps of its pods, that ask for Docker's format. */
  readonly logFormat: readonly FoundLine[];
}

export interface FoundLine {
  readonly path: string;
  /** Counts from 1. */
  readonly line: number;
  /** The part of the line that tells what it does, such as `docker run`, without arguments, which may be secrets. */
  readonly text: string;
}

export interface ProcessFacts {
  /** The programs that work on pods: dockerd, containerd, kubelet, cri-dockerd, dockbridge. */
  readonly programs: readonly ProgramFacts[];
  /** Host processes with an open connection to the Engine's socket, except for the programs above. */
  readonly socketClients: readonly { readonly pid: number; readonly name: string }[];
}

export interface ProgramFacts {
  readonly name: 'dockerd' | 'containerd' | 'kubelet' | 'cri-dockerd' | 'dockbridge';
  readonly pid: number;
  /** The arguments without the command, and without secrets. */
  readonly args: readonly string[];
  /** The unit of systemd in which the program runs; '' for none, undefined when that is not visible. */
  readonly unit?: string;
  /** Soft and hard limit of open files; undefined when they are not visible. */
  readonly openFiles?: OpenFiles;
}

/** Numbers, or `unlimited`. */
export interface OpenFiles {
  readonly soft: string;
  readonly hard: string;
}

/** What the Engine answered. */
export interface EngineSnapshot {
  readonly endpoint: string;
  readonly version: EngineVersion;
  readonly info: MigrationEngineInfo;
  /** All containers, running or not. */
  readonly containers: readonly NodeContainer[];
  /** Whether there are more containers than the gathering reads. */
  readonly isCut: boolean;
  readonly images: readonly NodeImage[];
  /** dockerd's arguments without secrets; undefined when its process is not visible. */
  readonly dockerdArguments?: readonly string[];
}

/** The answer to `/info`, with the fields that only the migration reads. A field that the Engine omits is missing. */
export interface MigrationEngineInfo extends EngineInfo {
  readonly Name?: string;
  readonly LoggingDriver?: string;
  readonly LiveRestoreEnabled?: boolean;
  readonly HttpProxy?: string;
  readonly HttpsProxy?: string;
  readonly NoProxy?: string;
  readonly InitBinary?: string;
  readonly Swarm?: { readonly LocalNodeState?: string } | null;
  readonly RegistryConfig?: {
    readonly InsecureRegistryCIDRs?: readonly string[] | null;
    readonly IndexConfigs?: Readonly<Record<string, RegistryIndex | null>> | null;
    readonly Mirrors?: readonly string[] | null;
  } | null;
  readonly Plugins?: { readonly Authorization?: readonly string[] | null } | null;
  /** Exists from API 1.47 on. */
  readonly Containerd?: {
    readonly Address?: string;
    readonly Namespaces?: { readonly Containers?: string; readonly Plugins?: string };
  } | null;
}

export interface RegistryIndex {
  readonly Name?: string;
  readonly Mirrors?: readonly string[] | null;
  readonly Secure?: boolean;
  readonly Official?: boolean;
}

/**
 * An inspect of a container, without environment, command and arguments. Of its labels, those remain that tell who made the
 * container; of the annotations of a pod, only `kubernetes.io/config.source`.
 */
export interface NodeContainer extends EngineContainerInspect {
  /** The image as the pod's specification names it; undefined when the container's labels do not tell. */
  readonly RequestedImage?: string;
  /** Limits of open files of the container's first process; undefined when it is not running or not visible. */
  readonly OpenFiles?: OpenFiles;
}

/** An image, with its platform if a container uses the image. */
export interface NodeImage
  extends Omit<EngineImageSummary, 'Labels'>, Pick<EngineImageInspect, 'Architecture' | 'Os'> {}

/** What is known of the node's kubelet. */
export interface KubeletSnapshot {
  readonly isRunning: boolean;
  /** For people: `process 812, /var/lib/kubelet/config.yaml`. */
  readonly from: string;
  /** The effective flags: of the process, or else of the files with which it would be started. */
  readonly arguments: readonly string[];
  /** The path of the KubeletConfiguration; '' when there is none. */
  readonly configFile: string;
  readonly endpoint: Sourced;
  readonly cgroupDriver: Sourced;
  /** One message for each of its files that could not be read or understood. */
  readonly problems: readonly string[];
}

/** A setting and where it comes from. */
export interface Sourced {
  /** '' when nothing sets it. */
  readonly value: string;
  /** `flag`, a variable, or the path of the file, which may end in `:LINE`; '' when nothing sets it. */
  readonly from: string;
}
