import type { RuleText } from '../rule';

const OWN = 'each runtime makes its own';
const LATER =
  'what an event tells besides its type is how things are when it is sent, which may be later than the event';
const HANDLERS =
  'names of handlers are configured on the node; whether a pod gets its own shows in its RunPodSandbox';
const ORDER = 'the order means nothing';
const MEASURED = 'it is measured';

function all(paths: readonly string[], rest: Omit<RuleText, 'path'>): readonly RuleText[] {
  return paths.map((path) => ({ path, ...rest }));
}

/**
 * What is no difference between any two runtimes. Whatever is not named here, or by the rules for a runtime or of the user, must be
 * equal.
 */
export const BASE_RULES: readonly RuleText[] = [
  // What a runtime says of itself.
  ...all(['Version.runtime_name', 'Version.runtime_version'], {
    as: 'ignore',
    because: 'it names the runtime',
  }),
  ...all(['PodSandboxStatus.info', 'ContainerStatus.info', 'ImageStatus.info', 'Status.info'], {
    as: 'ignore',
    because: 'CRI leaves verbose information to each runtime',
  }),
  ...all(['*.verbose'], { as: 'ignore', because: 'it asks for information that is not compared' }),
  ...all(['RuntimeCondition.message', 'RuntimeCondition.reason'], {
    as: 'ignore',
    because: 'it is text for people',
  }),
  ...all(['Status.runtime_handlers.@item'], { as: 'ignore', because: HANDLERS }),

  // Ids.
  ...all(['Image.id', '*.image_id', 'PullImage.image_ref', 'ImageSpec.image'], {
    ...{
      as: 'id',
      space: 'image',
      because: 'an image may have another id, as long as it is the same one everywhere',
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
    because: 'the runs are not at one time',
  }),
  ...all(['*.timestamp'], { as: 'time', because: 'the runs are not at one time' }),

  // Addresses.
  ...all(['PodSandboxNetworkStatus.ip', 'PodIP.ip'], {
    as: 'present',
    because: 'addresses are given as they come',
  }),
  ...all(['Exec.url', 'Attach.url', 'PortForward.url'], {
    ...{ as: 'present', because: 'the address of a session is made for it' },
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
  ...all(['Image.size'], { as: 'present', because: 'runtimes count it compressed or unpacked' }),
  ...all(['Image.spec'], { as: 'ignore', because: 'it repeats how the image was asked for' }),

  // What is measured.
  {
    ...{ path: 'CpuUsage.usage_nano_cores', as: 'ignore' as const },
    because: 'a rate needs two readings, and there is none before the second one',
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
