import { mapLimited } from '../../lib/async/concurrency';
import { waitAtMost, withDeadline } from '../../lib/async/deadline';
import { LastAnswers } from '../../node/disk/disk-looks';
import { NamespaceMode } from '../../proto/enums';
import type { ContainerRecord, SandboxRecord } from '../../store/records';
import type { Store } from '../../store/store';
import { readText } from '../../node/disk/files';
import { parseFileLimit } from '../../node/file-limit';
import type { DiskWork, OpenFiles } from '../disk/disk-work';
import type { LayerBudget } from '../disk/layer-budget';
import { hasProcess } from '../../store/states';
import type { UsageSource } from '../readings';
import { imageName } from '../../translate/container/container-status';
import { BlockDevices, readFileSystem } from './block-devices';
import { CONTAINER_FAMILIES, NETWORK_FAMILIES } from './container-families';
import {
  sample,
  type Identity,
  type ContainerMetrics,
  type MetricDescriptor,
  type MetricSample,
  type PodMetrics,
} from './metric';
import { GROUP_FAMILIES } from './group-families';

/** How many pods are read at the same time; the source has a limit of its own. */
const CONCURRENCY = 8;
/** How long, in ms, one call waits for layers that have not been measured yet, because their containers have just started. */
const FIRST_LAYERS_MS = 1_000;
const OPEN_FILES_MS = 5_000;
/** How many of libuv's four threads may read files for metrics at a time. */
const FILE_SYSTEM_THREADS = 2;
const FILE_SYSTEM_MS = 1_000;

/** All families. They stay the same for the life of the process, as CRI requires. */
export const METRIC_DESCRIPTORS: readonly MetricDescriptor[] = [
  ...GROUP_FAMILIES,
  ...CONTAINER_FAMILIES,
  ...NETWORK_FAMILIES,
].map(({ name, help, kind, labelKeys }) => ({ name, help, kind, labelKeys }));

export interface PodMetricsParts {
  readonly store: Store;
  readonly source: UsageSource;
  readonly layers: LayerBudget;
  readonly work: DiskWork;
}

/** Collects the samples that cAdvisor would report for the pods of this node. */
export class PodMetricsReader {
  private readonly fileSystems = new LastAnswers(readFileSystem, FILE_SYSTEM_THREADS, FILE_SYSTEM_MS);

  constructor(private readonly parts: PodMetricsParts) {}

  async read(signal?: AbortSignal): Promise<PodMetrics[]> {
    const { store } = this.parts;
    const sandboxes = [...store.sandboxes.values()].filter(hasProcess);
    const [devices] = await Promise.all([BlockDevices.read(), this.firstLayers(signal)]);
    return mapLimited(sandboxes, CONCURRENCY, async (sandbox) => {
      const running = store.containers.ofSandbox(sandbox.id).filter(hasProcess);
      const [own, network, containers] = await Promise.all([
        this.ofGroup(sandbox, devices, signal),
        this.ofNetwork(sandbox, signal),
        mapLimited(running, CONCURRENCY, (one) => this.ofContainer(sandbox, one, devices, signal)),
      ]);
      return {
        sandboxId: sandbox.id,
        samples: [...own, ...network],
        containers: containers.filter(({ samples }) => samples.length > 0),
      };
    });
  }

  private async firstLayers(signal: AbortSignal | undefined): Promise<void> {
    const { store, layers } = this.parts;
    const running = [...store.containers.values()].filter(hasProcess);
    this.fileSystems.retain(new Set(running.flatMap(({ id }) => layers.directory(id) ?? [])));
    await withDeadline('The first look at layers', FIRST_LAYERS_MS, signal, (limit) =>
      Promise.all(running.map(({ id }) => layers.whenMeasured(id, limit))),
    ).catch(() => {
      // The samples of these layers are missing this time.
      signal?.throwIfAborted();
    });
  }

  /** Returns the samples of the pod's own cgroup. In cAdvisor's metrics, this cgroup is a container without a name. */
  private async ofGroup(
    sandbox: SandboxRecord,
    devices: BlockDevices,
    signal: AbortSignal | undefined,
  ): Promise<MetricSample[]> {
    if (sandbox.cgroupParent === '') return [];
    const detail = await this.parts.source.podDetail(sandbox, signal);
    if (detail === undefined) return [];
    const identity = { ...identityOf(sandbox), container: '', name: '', id: detail.cgroup };
    return sample(GROUP_FAMILIES, identity, { ...detail, devices: named(detail.devices, devices) });
  }

  /**
   * Returns the network samples. They belong to the pause container, which owns the namespace. The label `container` is
   * `POD`, because dashboards for Docker use this name.
   */
  private async ofNetwork(sandbox: SandboxRecord, signal: AbortSignal | undefined): Promise<MetricSample[]> {
    if (sandbox.namespaces.network === NamespaceMode.NODE) return [];
    const { source } = this.parts;
    const interfaces = (await source.interfaces(sandbox, signal)) ?? [];
    const identity = { ...identityOf(sandbox), id: (await source.cgroupName(sandbox)) ?? '' };
    return sample(
      NETWORK_FAMILIES,
      identity,
      interfaces.filter(({ name }) => name !== 'lo'),
    );
  }

  private async ofContainer(
    sandbox: SandboxRecord,
    container: ContainerRecord,
    devices: BlockDevices,
    signal: AbortSignal | undefined,
  ): Promise<ContainerMetrics> {
    const { store, source, layers } = this.parts;
    const containerId = container.id;
    const directory = layers.directory(containerId);
    const [detail, pids, openFilesLimit, fileSystem] = await Promise.all([
      source.detail(container, signal),
      source.processes(container, signal),
      readOpenFilesLimit(container.pid),
      directory === undefined ? undefined : this.fileSystems.get(directory),
    ]);
    if (detail === undefined) return { containerId, samples: [] };
    const identity: Identity = {
      ...identityOf(sandbox),
      container: container.metadata.name,
      id: detail.cgroup,
      image: imageName(container, store.images.get(container.imageId)),
      name: container.engineName,
    };
    const input = {
      container,
      nowSeconds: Math.floor(Date.now() / 1000),
      devices: named(detail.devices, devices),
      layer: layers.reading(containerId),
      fileSystem: fileSystem && devices.named(fileSystem),
      processes: pids?.length,
      openFiles: pids && (await this.openFiles(pids, signal)),
      openFilesLimit: pids && openFilesLimit,
    };
    return {
      containerId,
      samples: [
        ...sample(GROUP_FAMILIES, identity, { ...detail, devices: input.devices }),
        ...sample(CONTAINER_FAMILIES, identity, input),
      ],
    };
  }

  private async openFiles(
    pids: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<OpenFiles | undefined> {
    // A cancelled call starts no further reads, because they would fill the queue.
    signal?.throwIfAborted();
    try {
      return await waitAtMost('Counting open files', OPEN_FILES_MS, this.parts.work.openFiles(pids), signal);
    } catch {
      signal?.throwIfAborted();
      return undefined;
    }
  }
}

function identityOf({ metadata, engineName }: SandboxRecord): Identity {
  const { namespace, name: pod } = metadata;
  return { container: 'POD', id: '', image: '', name: engineName, namespace, pod };
}

function named<Device extends { major: string; minor: string }>(
  devices: readonly Device[],
  names: BlockDevices,
): (Device & { path: string })[] {
  return devices.map((device) => ({ ...device, path: names.pathOf(device.major, device.minor) }));
}

/** Returns a process's soft limit of open files; -1 means no limit, as in cAdvisor. */
async function readOpenFilesLimit(pid: number): Promise<number | undefined> {
  const limit = parseFileLimit((await readText(`/proc/${pid}/limits`)) ?? '');
  return limit === Infinity ? -1 : limit;
}
