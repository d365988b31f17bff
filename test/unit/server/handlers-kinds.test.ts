import { IMAGE_ROUTES, IMAGE_STREAMS, RUNTIME_ROUTES, RUNTIME_STREAMS } from '../../../src/server/handlers';
import type { Services } from '../../../src/server/services';
import { rejectionOf } from '../support/errors';
import { decoded } from '../support/wire';

/**
 * Tests what each method waits for. With a wrong value, kubelet would believe an empty list, or a call would
 * fail needlessly.
 */
it('each method waits for what it needs, and for no more', () => {
  const kinds = Object.fromEntries(
    Object.entries({ ...RUNTIME_ROUTES, ...IMAGE_ROUTES, ...RUNTIME_STREAMS, ...IMAGE_STREAMS }).map(
      ([name, { kind }]) => [name, kind],
    ),
  );
  expect(kinds).toEqual({
    ...{ Version: 'answer', Status: 'always', RuntimeConfig: 'read', UpdateRuntimeConfig: 'always' },
    ...{ RunPodSandbox: 'make', StopPodSandbox: 'write', RemovePodSandbox: 'write' },
    ...{ PodSandboxStatus: 'one', ListPodSandbox: 'pods', StreamPodSandboxes: 'pods' },
    ...{ CreateContainer: 'make', StartContainer: 'write', StopContainer: 'write', RemoveContainer: 'write' },
    ...{ ListContainers: 'containers', StreamContainers: 'containers', ContainerStatus: 'one' },
    ...{ ExecSync: 'write', Exec: 'write', Attach: 'write', PortForward: 'read', ReopenContainerLog: 'read' },
    ...{ UpdateContainerResources: 'write', UpdatePodSandboxResources: 'read' },
    ...{ ContainerStats: 'read', ListContainerStats: 'read', StreamContainerStats: 'read' },
    ...{ PodSandboxStats: 'read', ListPodSandboxStats: 'read', StreamPodSandboxStats: 'read' },
    ...{ ListMetricDescriptors: 'always', ListPodSandboxMetrics: 'read', StreamPodSandboxMetrics: 'read' },
    ...{
      GetContainerEvents: 'read',
      CheckpointContainer: 'make',
      CheckpointPod: 'always',
      RestorePod: 'always',
    },
    ...{ ListImages: 'images', StreamImages: 'images', ImageStatus: 'images' },
    ...{ PullImage: 'make', RemoveImage: 'write', ImageFsInfo: 'read' },
  });
});

it.each(['CheckpointPod', 'RestorePod'] as const)(
  '%s is not implemented, and the error says why',
  async (name) => {
    const { handler } = RUNTIME_ROUTES[name];
    const context = { signal: new AbortController().signal };
    const answer = handler({} as Services, decoded('CheckpointPodRequest', {}) as never, context);
    expect(await rejectionOf(answer)).toMatch(/^UNIMPLEMENTED Docker Engine cannot /);
  },
);
