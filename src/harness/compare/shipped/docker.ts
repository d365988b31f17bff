import type { RuleText } from '../rule';

/**
 * The rules for Docker Engine, which we derived from dockbridge's test suites. They also apply to cri-dockerd, because it reports the same
 * name, but none of them was written for it.
 */
export const DOCKER_RULES: readonly RuleText[] = [
  {
    ...{ path: 'RuntimeHandlerFeatures.user_namespaces', as: 'ignore' },
    because: 'Docker Engine uses user namespaces for all of its containers or for none',
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
    because: "before 29, Docker Engine's default image store knows digests only for images from a registry",
  },
  {
    ...{ path: 'Image.repo_digests', as: 'names', only: { any: 'docker' } },
    because: 'Docker Engine leaves out docker.io in names of images',
  },
  {
    ...{ path: 'Image.repo_tags', as: 'names', only: { any: 'docker' } },
    because: 'Docker Engine leaves out docker.io in names of images',
  },
  {
    ...{ path: 'CheckpointContainer.@status', as: 'ignore', values: ['OK', 'UNIMPLEMENTED'] },
    ...{ own: ['UNIMPLEMENTED'], only: { any: 'docker' } },
    because: 'checkpoints are an experimental feature of Docker Engine, and need CRIU',
  },
];
