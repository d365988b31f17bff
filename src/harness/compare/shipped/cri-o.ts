import type { RuleText } from '../rule';

const UNIMPLEMENTED = ['OK', 'UNIMPLEMENTED'];

/** What is known of CRI-O, from its releases. Our own suites do not run on it. */
export const CRI_O_RULES: readonly RuleText[] = [
  {
    ...{ path: 'ContainerStatus.reason', as: 'ignore', values: ['Error', 'seccomp killed'] },
    because: 'CRI-O says so if a system call that seccomp forbids has ended the container',
  },
  {
    ...{ path: 'RuntimeConfig.@status', as: 'ignore', values: UNIMPLEMENTED, only: { any: 'cri-o < 1.28' } },
    because: 'CRI-O does not implement RuntimeConfig before 1.28',
  },
  {
    ...{ path: 'UpdatePodSandboxResources.@status', as: 'ignore', only: { any: 'cri-o < 1.33' } },
    because: 'CRI-O does not implement UpdatePodSandboxResources before 1.33',
  },
  {
    ...{ path: 'Stream*.@status', as: 'ignore', values: UNIMPLEMENTED, only: { any: 'cri-o < 1.36' } },
    because: 'CRI-O streams no lists before 1.36',
  },
];
