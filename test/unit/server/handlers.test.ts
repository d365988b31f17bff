import { IMAGE_ROUTES, RUNTIME_ROUTES } from '../../../src/server/handlers';

/** The calls that a daemon refuses after a hand-over, and that a daemon with --observe always refuses. */
it('exactly the calls that change something count as acting', () => {
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
