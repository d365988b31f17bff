import type { RuleText } from '../rule';

/**
 * What is known of Docker Engine, by dockbridge's own suites. cri-dockerd tells the same name; what it does wrong is not excused
 * here.
 */
export const DOCKER_RULES: readonly RuleText[] = [
  {
    ...{ path: 'RuntimeHandlerFeatures.user_namespaces', as: 'ignore' },
    because: 'Docker Engine maps users for all of its containers or for none',
  },
  {
    ...{
      path: 'RuntimeHandlerFeatures.recursive_read_only_mounts',
      as: 'ignore',
      only: { any: 'docker < 25' },
    },
    because: 'Docker Engine has no recursive read-only mounts before 25',
  },
  {
    ...{ path: 'Image.repo_digests', as: 'ignore', only: { any: 'docker < 29' } },
    because:
      'the image store that Docker Engine has by default before 29 knows digests only of images from a registry',
  },
  {
    ...{ path: 'ContainerStatus.exit_code', as: 'ignore', values: [137, 143] },
    ...{ own: [143], only: { any: 'docker' } },
    because:
      'Docker Engine sends the stop signal before SIGKILL even if the timeout is 0, and a process may end by either',
  },
  {
    ...{ path: 'CheckpointContainer.@status', as: 'ignore', values: ['OK', 'UNIMPLEMENTED'] },
    ...{ own: ['UNIMPLEMENTED'], only: { any: 'docker' } },
    because: 'checkpoints of Docker Engine are experimental, and need CRIU',
  },
];
