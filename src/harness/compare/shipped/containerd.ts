import type { RuleText } from '../rule';

/** A call that this runtime does not implement. That the other one does not is no excuse. */
const UNIMPLEMENTED = { as: 'ignore', values: ['OK', 'UNIMPLEMENTED'], own: ['UNIMPLEMENTED'] } as const;
/** An error that containerd makes, and no other runtime. */
const UNKNOWN = {
  as: 'ignore',
  values: ['OK', 'UNKNOWN'],
  own: ['UNKNOWN'],
  only: { any: 'containerd' },
} as const;
/** What containerd may lack, and no other runtime. */
const LACKS = { as: 'missing', only: { any: 'containerd' } } as const;

/** What is known of containerd: from our conformance suite on it (test/conformance/skips.txt), and from its releases. */
export const CONTAINERD_RULES: readonly RuleText[] = [
  {
    ...{ path: 'ContainerStatus.image_id', ...LACKS },
    because: 'containerd tells no image_id in ContainerStatus',
  },
  {
    ...{ path: 'ListContainers.containers.image_id', ...LACKS },
    because: 'containerd tells no image_id in a list of containers either',
  },
  {
    ...{ path: 'Container.image_ref', as: 'id', space: 'image_ref in lists' },
    only: { any: 'containerd' },
    because:
      'containerd puts the id of the image into a list of containers, and its digest into ContainerStatus',
  },
  {
    ...{ path: 'Container.image.image', as: 'id', space: 'image in lists' },
    only: { any: 'containerd' },
    because: 'containerd names the image in a list of containers as CreateContainer did, which may be its id',
  },
  {
    ...{ path: 'ContainerStatus.image.user_specified_image', ...LACKS },
    because: 'containerd makes the image of a ContainerStatus from its own store, which does not keep this',
  },
  {
    ...{
      path: 'ContainerStatus.stop_signal',
      as: 'ignore',
      values: ['SIGNAL_RUNTIME_DEFAULT', 'SIGNAL_SIGTERM'],
    },
    because:
      'containerd tells SIGNAL_RUNTIME_DEFAULT if nobody has chosen a signal, and stops with SIGTERM then',
  },
  {
    ...{ path: 'PodSandboxStatus.containers_statuses.@item', ...LACKS },
    because: 'containerd tells the statuses of containers in events alone, where evented PLEG reads them',
  },
  {
    ...{ path: 'ContainerStatus.status.@order', ...LACKS },
    because:
      "containerd takes started_at from its own clock after the start, and finished_at from the process's exit, which for a short job is earlier",
  },
  {
    ...{ path: 'GetContainerEvents.containers_statuses.@order', ...LACKS },
    because:
      "containerd takes started_at from its own clock after the start, and finished_at from the process's exit, which for a short job is earlier",
  },
  {
    ...{ path: 'CpuUsage.usage_nano_cores', ...LACKS },
    because: 'containerd needs two readings for a rate, and has none when it is asked the first time',
  },
  {
    ...{ path: 'FilesystemUsage.*', ...LACKS },
    because: "containerd reads the sizes of writable layers every 10 s; a container's first ones are 0",
  },
  {
    ...{ path: 'SwapUsage.timestamp', ...LACKS },
    because: 'containerd gives swap no time of its own if there is no swap to measure',
  },
  {
    ...{ path: 'ListContainerStats.stats.@item', as: 'missing', only: { any: 'docker' } },
    because:
      'containerd lists the stats of exited containers too; CRI and dockbridge have those of running ones',
  },
  {
    ...{ path: 'PodSandboxStats.@status', ...UNKNOWN },
    because:
      'containerd measures a pod by its cgroup_parent, and answers `cgroupPath is empty` where there is none',
  },
  {
    ...{ path: 'ListPodSandboxStats.@status', ...UNKNOWN },
    because: 'containerd fails the whole list if one pod has no cgroup_parent',
  },
  {
    ...{ path: 'ListImages.images.@item', as: 'extra', asked: 'filter.image.image' },
    only: { any: 'containerd' },
    because: 'containerd ignores the filter of ListImages and answers all images',
  },
  {
    ...{ path: 'Status.status.conditions[Containerd*].@item', as: 'ignore' },
    because:
      'containerd tells deprecations as conditions of its own, such as ContainerdHasNoDeprecationWarnings',
  },
  {
    ...{ path: 'ContainerStatus.reason', as: 'ignore', values: ['OOMKilled', 'Error'] },
    ...{ own: ['Error'], only: { any: 'containerd' } },
    because: "on cgroup v1 containerd's OOM event comes after the container's end, and is lost now and then",
  },
  {
    ...{ path: 'ContainerStats.@status', ...UNKNOWN },
    because: 'containerd answers `unexpected metrics response: []` soon after a start, now and then',
  },
  {
    ...{ path: 'ListContainerStats.@status', ...UNKNOWN },
    because: 'containerd answers `unexpected metrics response: []` soon after a start, now and then',
  },
  {
    ...{ path: 'LinuxPodSandboxStats.process', as: 'ignore' },
    because: 'containerd counts no processes of a pod now and then',
  },
  {
    ...{
      path: 'List*Metric*.@status',
      ...UNIMPLEMENTED,
      only: { any: 'containerd < 2.2' },
    },
    because: 'containerd has no metrics of pods before 2.2',
  },
  {
    ...{ path: 'ContainerStatus.mounts.image', as: 'ignore', only: { any: 'containerd < 2.2' } },
    because: 'containerd names no image in the mounts of a status before 2.2',
  },
  {
    ...{ path: 'ContainerStatus.mounts.image_sub_path', as: 'ignore', only: { any: 'containerd < 2.2' } },
    because: 'containerd knows no sub-paths of image volumes before 2.2',
  },
  {
    ...{ path: 'UpdatePodSandboxResources.@status', ...UNIMPLEMENTED },
    only: { any: 'containerd < 2.3' },
    because: 'containerd does not implement UpdatePodSandboxResources before 2.3',
  },
  {
    ...{ path: 'Stream*.@status', ...UNIMPLEMENTED, only: { any: 'containerd < 2.4' } },
    because: 'containerd streams no lists before 2.4',
  },
  {
    ...{
      path: 'RuntimeConfig.@status',
      ...UNIMPLEMENTED,
      only: { any: 'containerd < 2.0' },
    },
    because: 'containerd does not implement RuntimeConfig before 2.0',
  },
  {
    ...{
      path: 'RuntimeHandlerFeatures.recursive_read_only_mounts',
      as: 'ignore',
      only: { any: 'containerd < 2.0' },
    },
    because: 'containerd has no recursive read-only mounts before 2.0',
  },
  {
    ...{
      path: 'RuntimeFeatures.supplemental_groups_policy',
      as: 'ignore',
      only: { any: 'containerd < 2.0' },
    },
    because: 'containerd has no policy of supplemental groups before 2.0',
  },
  {
    ...{ path: 'RuntimeHandlerFeatures.user_namespaces', as: 'ignore' },
    because:
      'containerd has user namespaces from 1.7 on if runc, from 1.2 on, and the kernel have idmapped mounts',
  },
  {
    ...{
      path: 'Stop*.@status',
      as: 'ignore',
      values: ['OK', 'NOT_FOUND'],
      only: { any: 'containerd < 1.7' },
    },
    because: 'containerd answers NOT_FOUND for stopping what is gone, before 1.7',
  },
  {
    ...{
      path: 'GetContainerEvents.@status',
      ...UNIMPLEMENTED,
      only: { any: 'containerd < 1.7' },
    },
    because: 'containerd has no events before 1.7',
  },
  {
    ...{ path: 'GetContainerEvents.@event', as: 'ignore', only: { any: 'containerd < 1.7' } },
    because: 'containerd has no events before 1.7',
  },
  {
    ...{ path: 'Image.pinned', as: 'ignore', only: { any: 'containerd < 1.7' } },
    because: 'containerd pins no images before 1.7',
  },
];
