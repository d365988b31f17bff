import { redactArguments, redactJson, REMOVED, replaceUserinfo } from '../../doctor/bundle/redact';
import type { DockerClient } from '../../docker/client';
import { hasStatus } from '../../docker/errors';
import type {
  EngineContainerInspect,
  EngineHostConfig,
  EngineImageInspect,
  EngineImageSummary,
} from '../../engine/types';
import { mapLimited } from '../../lib/async/concurrency';
import { containerFromInspect } from '../../translate/container/container-record';
import type { EngineSnapshot, MigrationEngineInfo, NodeContainer, NodeImage, OpenFiles } from '../facts';

const CONCURRENCY = 8;
/** More containers than a node has. The rest is reported as not read. */
export const MAX_CONTAINERS = 5_000;

export type InventoryClient = Pick<
  DockerClient,
  'version' | 'info' | 'listContainers' | 'inspectContainer' | 'listImages' | 'inspectImage'
>;

export interface EngineSources {
  readonly docker: InventoryClient;
  readonly endpoint: string;
  /** Arguments of the dockerd process; undefined when it is not visible. */
  readonly dockerdArguments: readonly string[] | undefined;
  /** Returns the open-file limits of a process; undefined when it is not visible. */
  readonly openFilesOf: (pid: number) => Promise<OpenFiles | undefined>;
}

/**
 * Asks the Engine for everything that the migration needs to know.
 * @throws RuntimeError when the Engine does not answer.
 */
export async function readEngine(sources: EngineSources): Promise<EngineSnapshot> {
  const { docker, endpoint, dockerdArguments, openFilesOf } = sources;
  const [version, info, listed, images] = await Promise.all([
    docker.version(),
    docker.info(),
    docker.listContainers({}),
    docker.listImages(),
  ]);
  const containers = await mapLimited(listed.slice(0, MAX_CONTAINERS), CONCURRENCY, ({ Id }) =>
    unlessGone(async () => toNodeContainer(await docker.inspectContainer(Id), openFilesOf)),
  );
  const there = containers.filter((container) => container !== undefined);
  const used = new Set(there.map(({ Image }) => Image));
  return {
    endpoint,
    version: {
      Version: version.Version,
      ApiVersion: version.ApiVersion,
      Os: version.Os,
      Arch: version.Arch,
      Components: (version.Components ?? []).map(({ Name, Version }) => ({ Name, Version })),
    },
    info: engineInfo(info),
    containers: there.sort((a, b) => (a.Name < b.Name ? -1 : 1)),
    isCut: listed.length > MAX_CONTAINERS,
    images: await mapLimited(images, CONCURRENCY, (image) => toNodeImage(image, used, docker)),
    ...(dockerdArguments === undefined ? {} : { dockerdArguments: redactArguments(dockerdArguments) }),
  };
}

function engineInfo(info: MigrationEngineInfo): MigrationEngineInfo {
  const { RegistryConfig: registries, ...rest } = chosen<MigrationEngineInfo, keyof MigrationEngineInfo>(
    info,
    INFO_FIELDS,
  );
  return {
    ...(redactJson(rest) as MigrationEngineInfo),
    ...(registries === undefined || registries === null
      ? {}
      : { RegistryConfig: registryConfig(registries) }),
  };
}

/** Keeps names of registries that contain words such as `token`. Only the URLs of mirrors may have a secret. */
function registryConfig({
  InsecureRegistryCIDRs: ranges,
  IndexConfigs: indexes,
  Mirrors: mirrors,
}: NonNullable<MigrationEngineInfo['RegistryConfig']>): NonNullable<MigrationEngineInfo['RegistryConfig']> {
  const urls = (list: readonly string[] | null | undefined): string[] =>
    (list ?? []).map((url) => replaceUserinfo(url, REMOVED));
  return {
    InsecureRegistryCIDRs: ranges ?? [],
    IndexConfigs: Object.fromEntries(
      Object.entries(indexes ?? {}).flatMap(([name, index]) =>
        index === null
          ? []
          : [[name, { ...chosen(index, ['Name', 'Secure', 'Official']), Mirrors: urls(index.Mirrors) }]],
      ),
    ),
    Mirrors: urls(mirrors),
  };
}

const INFO_FIELDS: readonly (keyof MigrationEngineInfo)[] = [
  'ID',
  'Name',
  'DockerRootDir',
  'CgroupDriver',
  'CgroupVersion',
  'Driver',
  'DriverStatus',
  'DefaultRuntime',
  'Runtimes',
  'CDISpecDirs',
  'SecurityOptions',
  'OperatingSystem',
  'KernelVersion',
  'ExperimentalBuild',
  'LoggingDriver',
  'LiveRestoreEnabled',
  'HttpProxy',
  'HttpsProxy',
  'NoProxy',
  'InitBinary',
  'Swarm',
  'RegistryConfig',
  'Plugins',
  'Containerd',
];

const HOST_CONFIG_FIELDS: readonly (keyof EngineHostConfig)[] = [
  'NetworkMode',
  'IpcMode',
  'PidMode',
  'CgroupParent',
  'Runtime',
  'Privileged',
  'PortBindings',
  'RestartPolicy',
  'ShmSize',
  'Init',
  'UsernsMode',
  'SecurityOpt',
];

/** Labels that show what created a container. Other labels may contain secrets. */
const LABELS =
  /^(io\.kubernetes\.|com\.docker\.compose\.(project|service)$|com\.docker\.swarm\.service\.name$|annotation\.kubernetes\.io\/config\.source$|io\.x-k8s\.kind\.|name\.minikube\.sigs\.k8s\.io$)/;

/** Copies fields by name, so that a field of a newer Engine is kept only when somebody has looked at it. */
async function toNodeContainer(
  container: EngineContainerInspect,
  openFilesOf: EngineSources['openFilesOf'],
): Promise<NodeContainer> {
  const { Id, Name, Created, Image, State, Config, HostConfig, Mounts, NetworkSettings } = container;
  const openFiles = State.Pid > 0 ? await openFilesOf(State.Pid) : undefined;
  const { Type = '' } = HostConfig.LogConfig ?? {};
  const requested = containerFromInspect(container)?.userSpecifiedImage ?? '';
  return {
    ...{ Id, Name, Created, Image },
    State: { ...State, Error: '' },
    Config: { Image: Config.Image, Labels: knownLabels(Config.Labels ?? {}) },
    HostConfig: { ...chosen(HostConfig, HOST_CONFIG_FIELDS), LogConfig: { Type, Config: {} } },
    Mounts: (Mounts ?? []).map(({ Type: kind, Source, Destination, RW }) => ({
      ...{ Type: kind, Destination, RW },
      ...(Source === undefined ? {} : { Source }),
    })),
    NetworkSettings: {
      Networks: Object.fromEntries(Object.keys(NetworkSettings.Networks ?? {}).map((name) => [name, {}])),
    },
    ...(requested === '' ? {} : { RequestedImage: requested }),
    ...(openFiles === undefined ? {} : { OpenFiles: openFiles }),
  };
}

function knownLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => LABELS.test(key)));
}

/** Inspects only images of containers, because a node may have hundreds of others. */
async function toNodeImage(
  { Id, RepoTags, RepoDigests, Size }: EngineImageSummary,
  used: ReadonlySet<string>,
  docker: InventoryClient,
): Promise<NodeImage> {
  const image = { Id, RepoTags: RepoTags ?? [], RepoDigests: RepoDigests ?? [], Size };
  const inspect: Partial<EngineImageInspect> = used.has(Id)
    ? ((await unlessGone(() => docker.inspectImage(Id))) ?? {})
    : {};
  const { Architecture, Os } = inspect;
  return {
    ...image,
    ...(Architecture === undefined ? {} : { Architecture }),
    ...(Os === undefined ? {} : { Os }),
  };
}

/** Returns undefined for what was removed after the list was made. */
async function unlessGone<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}

function chosen<T extends object, K extends keyof T>(value: T, fields: readonly K[]): Pick<T, K> {
  return Object.fromEntries(
    fields.filter((field) => value[field] !== undefined).map((field) => [field, value[field]]),
  ) as Pick<T, K>;
}
