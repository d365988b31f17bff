import type { RuleText } from '../rule';

/** A call that this runtime does not implement. That the other one does not is no excuse. */
const UNIMPLEMENTED = { as: 'ignore', values: ['OK', 'UNIMPLEMENTED'], own: ['UNIMPLEMENTED'] } as const;

/** What is known of CRI-O, from its releases. Our own suites do not run on it. */
export const CRI_O_RULES: readonly RuleText[] = [
  {
    ...{ path: 'ContainerStatus.reason', as: 'ignore', values: ['Error', 'seccomp killed'] },
    because: 'CRI-O says so if a system call that seccomp forbids has ended the container',
  },
  {
    ...{ path: 'RuntimeConfig.@status', ...UNIMPLEMENTED, only: { any: 'cri-o < 1.28' } },
    because: 'CRI-O does not implement RuntimeConfig before 1.28',
  },
  {
    ...{ path: 'UpdatePodSandboxResources.@status', ...UNIMPLEMENTED },
    only: { any: 'cri-o < 1.33' },
    because: 'CRI-O does not implement UpdatePodSandboxResources before 1.33',
  },
  {
    ...{ path: 'Stream*.@status', ...UNIMPLEMENTED, only: { any: 'cri-o < 1.36' } },
    because: 'CRI-O streams no lists before 1.36',
  },
];
