import type { RuleText } from '../rule';

/** For calls that this runtime may leave unimplemented. The other runtime must implement them. */
const UNIMPLEMENTED = { as: 'ignore', values: ['OK', 'UNIMPLEMENTED'], own: ['UNIMPLEMENTED'] } as const;

/** The rules for CRI-O, which we derived from its releases. We have not run our test suites on it. */
export const CRI_O_RULES: readonly RuleText[] = [
  {
    ...{ path: 'ContainerStatus.reason', as: 'ignore', values: ['Error', 'seccomp killed'] },
    because: 'CRI-O reports `seccomp killed` if a system call forbidden by seccomp ended the container',
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
    because: 'CRI-O does not stream lists before 1.36',
  },
];
