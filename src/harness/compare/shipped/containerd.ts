import type { RuleText } from '../rule';

/** For calls that this runtime may leave unimplemented. The other runtime must implement them. */
const UNIMPLEMENTED = { as: 'ignore', values: ['OK', 'UNIMPLEMENTED'], own: ['UNIMPLEMENTED'] } as const;
/** For UNKNOWN errors that only containerd may return. */
const UNKNOWN = {
  as: 'ignore',
  values: ['OK', 'UNKNOWN'],
  own: ['UNKNOWN'],
  only: { any: 'containerd' },
} as const;
/** For values that only containerd may lack. */
const LACKS = { as: 'missing', only: { any: 'containerd' } } as const;

/** The rules for containerd. We derived them from runs of our conformance suite (test/conformance/skips.txt) and from its releases. */
export const CONTAINERD_RULES: readonly RuleText[] = [
  {
    ...{ path: 'ContainerStatus.image_id', ...LACKS },
    because: 'containerd does not report image_id in ContainerStatus',
  },
  {
    ...{ path: 'ListContainers.containers.image_id', ...LACKS },
    because: 'containerd does not report image_id in ListContainers',
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
    because:
      'containerd takes the image in ContainerStatus from its own store, which does not contain this field',
  },
  {
    ...{
      path: 'ContainerStatus.stop_signal',
      as: 'ignore',
      values: ['SIGNAL_RUNTIME_DEFAULT', 'SIGNAL_SIGTERM'],
    },
    because:
      'if no stop signal is set, containerd reports SIGNAL_RUNTIME_DEFAULT and stops the container with SIGTERM',
  },
  {
    ...{ path: 'PodSandboxStatus.containers_statuses.@item', ...LACKS },
    because: 'containerd reports the statuses of containers only in events, where evented PLEG reads them',
  },
  {
    ...{ path: 'ContainerStatus.status.@order', ...LACKS },
    because:
      'containerd reads the clock for started_at after the start, but finished_at is the time of the exit, which is earlier for a short job',
  },
  {
    ...{ path: 'GetContainerEvents.containers_statuses.@order', ...LACKS },
    because:
      'containerd reads the clock for started_at after the start, but finished_at is the time of the exit, which is earlier for a short job',
  },
  {
    ...{ path: 'CpuUsage.usage_nano_cores', ...LACKS },
    because: 'containerd needs two readings for a rate, so its first answer has none',
  },
  {
    ...{ path: 'FilesystemUsage.*', ...LACKS },
    because: 'containerd measures writable layers every 10 s, and reports 0 before the first measurement',
  },
  {
    ...{ path: 'SwapUsage.timestamp', ...LACKS },
    because: 'containerd reports no time for swap usage if there is no swap to measure',
  },
  {
    ...{ path: 'ListContainerStats.stats.@item', as: 'missing', only: { any: 'docker' }, ended: true },
    because:
      'containerd also lists the stats of exited containers; CRI asks only for those of running containers, and dockbridge lists no others',
  },
  {
    ...{ path: 'ListContainerStats.stats.@state', as: 'ignore', values: ['listed', 'gone'] },
    ...{ own: ['gone'], only: { any: 'docker' }, ended: true },
    because:
      'containerd also lists the stats of exited containers; CRI asks only for those of running containers, and dockbridge lists no others',
  },
  {
    ...{ path: 'PodSandboxStats.@status', ...UNKNOWN },
    because:
      'containerd measures a pod by its cgroup_parent, and answers `cgroupPath is empty` if the pod has none',
  },
  {
    ...{ path: 'ListPodSandboxStats.@status', ...UNKNOWN },
    because: 'containerd fails the whole list if one pod has no cgroup_parent',
  },
  {
    ...{ path: 'ListImages.images.@item', as: 'extra', asked: 'filter.image.image' },
    only: { any: 'containerd' },
    because: 'containerd ignores the filter of ListImages and returns all images',
  },
  {
    ...{ path: 'Status.status.conditions[Containerd*].@item', as: 'ignore' },
    because:
      'containerd reports deprecations as additional conditions, such as ContainerdHasNoDeprecationWarnings',
  },
  {
    ...{ path: 'ContainerStatus.reason', as: 'ignore', values: ['OOMKilled', 'Error'] },
    ...{ own: ['Error'], only: { any: 'containerd' } },
    because:
      "with cgroup v1, containerd's OOM event comes after the container's end and is occasionally lost",
  },
  {
    ...{ path: 'ContainerStats.@status', ...UNKNOWN, brief: true },
    because: 'shortly after a start, containerd occasionally answers `unexpected metrics response: []`',
  },
  {
    ...{ path: 'ListContainerStats.@status', ...UNKNOWN, brief: true },
    because: 'shortly after a start, containerd occasionally answers `unexpected metrics response: []`',
  },
  {
    ...{ path: 'LinuxPodSandboxStats.process', as: 'ignore' },
    because: 'containerd occasionally does not count the processes of a pod',
  },
  {
    ...{
      path: 'List*Metric*.@status',
      ...UNIMPLEMENTED,
      only: { any: 'containerd < 2.2' },
    },
    because: 'containerd has no pod metrics before 2.2',
  },
  {
    ...{ path: 'ContainerStatus.mounts.image', as: 'ignore', only: { any: 'containerd < 2.2' } },
    because: 'containerd does not report the images of mounts before 2.2',
  },
  {
    ...{ path: 'ContainerStatus.mounts.image_sub_path', as: 'ignore', only: { any: 'containerd < 2.2' } },
    because: 'containerd does not support sub-paths of image volumes before 2.2',
  },
  {
    ...{ path: 'UpdatePodSandboxResources.@status', ...UNIMPLEMENTED },
    only: { any: 'containerd < 2.3' },
    because: 'containerd does not implement UpdatePodSandboxResources before 2.3',
  },
  {
    ...{ path: 'Stream*.@status', ...UNIMPLEMENTED, only: { any: 'containerd < 2.4' } },
    because: 'containerd does not stream lists before 2.4',
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
    ...{ path: 'ContainerStatus.user', as: 'missing', only: { any: 'containerd < 2.0' } },
    because: 'containerd does not report the user of a container before 2.0',
  },
  {
    ...{ path: 'Container.image.user_specified_image', as: 'missing', only: { any: 'containerd < 2.0' } },
    because: 'containerd does not know this field before 2.0',
  },
  {
    ...{
      path: 'RuntimeFeatures.supplemental_groups_policy',
      as: 'ignore',
      only: { any: 'containerd < 2.0' },
    },
    because: 'containerd does not support supplementalGroupsPolicy before 2.0',
  },
  {
    ...{ path: 'RuntimeHandlerFeatures.user_namespaces', as: 'ignore' },
    because:
      'containerd supports user namespaces only from 1.7, with runc from 1.2, and if the kernel has idmapped mounts',
  },
  {
    ...{
      path: 'Stop*.@status',
      as: 'ignore',
      values: ['OK', 'NOT_FOUND'],
      only: { any: 'containerd < 1.7' },
    },
    because: 'before 1.7, containerd answers NOT_FOUND if the container or pod to stop no longer exists',
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
    because: 'containerd does not report pinned images before 1.7',
  },
];
