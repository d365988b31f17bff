import type { RuleText } from '../rule';

const OWN = 'each runtime generates its own ids';
const LATER =
  'apart from its type, an event describes the state at the time it is sent, which may be later than the event itself';
const HANDLERS =
  "the names of handlers are configured on the node, and the result of RunPodSandbox shows whether a pod's handler exists";
const ORDER = 'the order has no meaning';
const MEASURED = 'it is a measurement';

function all(paths: readonly string[], rest: Omit<RuleText, 'path'>): readonly RuleText[] {
  return paths.map((path) => ({ path, ...rest }));
}

/**
 * The rules for any two runtimes. A value must be equal on both sides unless one of these rules, a rule for a runtime, or a rule of the
 * user matches it.
 */
export const BASE_RULES: readonly RuleText[] = [
  // The runtime's information about itself.
  ...all(['Version.runtime_name', 'Version.runtime_version'], {
    as: 'ignore',
    because: 'it names the runtime',
  }),
  ...all(['PodSandboxStatus.info', 'ContainerStatus.info', 'ImageStatus.info', 'Status.info'], {
    as: 'ignore',
    because: 'CRI lets each runtime choose its verbose information',
  }),
  ...all(['*.verbose'], { as: 'ignore', because: 'it asks for information that is not compared' }),
  ...all(['RuntimeCondition.message', 'RuntimeCondition.reason'], {
    as: 'ignore',
    because: 'it is a text for people',
  }),
  ...all(['Status.runtime_handlers.@item'], { as: 'ignore', because: HANDLERS }),

  // Ids.
  ...all(['Image.id', '*.image_id', 'PullImage.image_ref', 'ImageSpec.image'], {
    ...{
      as: 'id',
      space: 'image',
      because: 'runtimes may give an image different ids, but each runtime must use its id everywhere',
    },
  }),
  ...all(['*.image_ref'], { as: 'id', space: 'image_ref', because: OWN }),
  ...all(['*.id', '*.pod_sandbox_id', '*.container_id', '*.container_ids', 'NamespaceOption.target_id'], {
    as: 'id',
    because: OWN,
  }),

  // Events.
  ...all(
    [
      ...['GetContainerEvents.containers_statuses.@item', 'GetContainerEvents.containers_statuses.state'],
      ...[
        'GetContainerEvents.containers_statuses.started_at',
        'GetContainerEvents.containers_statuses.finished_at',
      ],
      ...[
        'GetContainerEvents.containers_statuses.exit_code',
        'GetContainerEvents.containers_statuses.reason',
      ],
      ...['GetContainerEvents.containers_statuses.message', 'GetContainerEvents.pod_sandbox_status.state'],
      'GetContainerEvents.pod_sandbox_status.network',
    ],
    { as: 'ignore', because: LATER },
  ),

  // Times.
  ...all(['*.created_at', '*.started_at', '*.finished_at'], {
    as: 'time',
    because: 'the runs take place at different times',
  }),
  ...all(['*.timestamp'], { as: 'time', because: 'the runs take place at different times' }),

  // Addresses.
  ...all(['PodSandboxNetworkStatus.ip', 'PodIP.ip'], {
    as: 'present',
    because: 'each node assigns its own addresses',
  }),
  ...all(['Exec.url', 'Attach.url', 'PortForward.url'], {
    ...{ as: 'present', because: 'each session has a new address' },
  }),

  // Order.
  ...all(
    [
      ...['Image.repo_tags', 'Image.repo_digests', 'ContainerStatus.mounts', 'Status.status.conditions'],
      ...['Status.runtime_handlers', '*.supplemental_groups', 'PodSandboxNetworkStatus.additional_ips'],
      ...['*.containers_statuses', 'LinuxPodSandboxStats.containers', 'NetworkUsage.interfaces'],
      ...['ListMetricDescriptors.descriptors', '*.metrics', '*.container_metrics', 'ImageFsInfo.*'],
    ],
    { as: 'set', because: ORDER },
  ),

  // Images.
  ...all(['Image.size'], {
    as: 'present',
    because: 'some runtimes report the compressed size, and others the unpacked size',
  }),
  ...all(['Image.spec'], { as: 'ignore', because: 'it repeats the request for the image' }),

  // Measurements.
  {
    ...{ path: 'CpuUsage.usage_nano_cores', as: 'ignore' as const },
    because: 'a rate needs two readings, so it is missing before the second one',
  },
  ...all(['ImageFsInfo.@item', 'FilesystemIdentifier.mountpoint'], {
    ...{ as: 'ignore', because: 'where a runtime keeps its files is configured on the node' },
  }),
  ...all(
    [
      ...['CpuUsage.usage_core_nano_seconds', 'MemoryUsage.*', 'SwapUsage.*'],
      ...[
        'FilesystemUsage.*',
        'ProcessUsage.process_count',
        'NetworkInterfaceUsage.*',
        'PsiData.*',
        'Metric.value',
      ],
    ],
    { as: 'range', because: MEASURED },
  ),
];
