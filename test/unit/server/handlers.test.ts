import { IMAGE_ROUTES, RUNTIME_ROUTES } from '../../../src/server/handlers';

/** All that a daemon refuses after a hand-over, and one with --observe always. */
it('counts among the calls that act all that change something, and no other', () => {
  const acting = Object.entries({ ...RUNTIME_ROUTES, ...IMAGE_ROUTES }).filter(([, { acts }]) => acts);
  expect(acting.map(([name]) => name).sort()).toEqual([
    'Attach',
    'CheckpointContainer',
    'CreateContainer',
    'Exec',
    'ExecSync',
    'PortForward',
    'PullImage',
    'RemoveContainer',
    'RemoveImage',
    'RemovePodSandbox',
    'ReopenContainerLog',
    'RunPodSandbox',
    'StartContainer',
    'StopContainer',
    'StopPodSandbox',
    'UpdateContainerResources',
    'UpdatePodSandboxResources',
    'UpdateRuntimeConfig',
  ]);
});
