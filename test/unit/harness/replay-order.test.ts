import { dependencies } from '../../../src/harness/drive/order';
import type { RecordedCall } from '../../../src/harness/drive/recorded';
import { planOf } from '../../../src/harness/drive/replay-plan';

type Call = Pick<RecordedCall, 'method'> & Partial<RecordedCall>;

const POD = { pod: 'test/web' };
const IMAGE = { image: { image: 'busybox:1' } };
const RUN: Call = { ...POD, method: 'RunPodSandbox', response: { pod_sandbox_id: 'p' } };
const CREATE: Call = {
  ...{ ...POD, method: 'CreateContainer', request: { pod_sandbox_id: 'p' }, response: { container_id: 'c' } },
};
const REMOVE: Call = { ...POD, method: 'RemoveContainer', request: { container_id: 'c' } };
/** A pull for a pod, as kubelet makes it, and without one. */
const [KUBELETS_PULL, PULL]: [Call, Call] = [
  { ...POD, method: 'PullImage', request: { ...IMAGE, sandbox_config: {} } },
  { method: 'PullImage', request: IMAGE },
];
const STATUS: Call = { method: 'ImageStatus', request: IMAGE };

/** Calls of one second each, two seconds apart. */
function planned(calls: readonly Call[]): ReturnType<typeof planOf>['calls'] {
  return planOf(
    calls.map((call, at) => ({
      ...{ n: at + 1, t: at * 2, end: at * 2 + 1, ms: 1000, request: {}, status: 'OK', faults: [] },
      ...call,
    })),
  ).calls;
}

/** Returns the methods of all calls that must be finished before the last call is made. */
function beforeLast(calls: readonly Call[]): readonly string[] {
  const plan = planned(calls);
  const waitsFor = dependencies(plan);
  const before = new Set<number>();
  const visit = (at: number): void => {
    for (const other of waitsFor[at] ?? []) {
      before.add(other);
      visit(other);
    }
  };
  visit(plan.length - 1);
  return [...before].map((at) => plan[at]?.call.method ?? '');
}

describe('in a replay,', () => {
  it.each(['ListImages', 'StreamImages', 'ImageStatus', 'ImageFsInfo'])(
    '%s waits for a pull that was made for a pod',
    (method) => {
      expect(beforeLast([RUN, KUBELETS_PULL, { method }])).toContain('PullImage');
    },
  );

  it('a removal of an image waits for the removal of a container', () => {
    const calls = [RUN, CREATE, REMOVE, { method: 'RemoveImage', request: IMAGE }];
    expect(beforeLast(calls)).toContain('RemoveContainer');
  });

  it('a container is created after a pull that was made for no pod', () => {
    expect(beforeLast([PULL, RUN, CREATE])).toContain('PullImage');
  });

  it('the creation of a container does not wait for a pull that was made for another pod', () => {
    const other = { ...KUBELETS_PULL, pod: 'test/other' };
    expect(beforeLast([other, RUN, CREATE])).toEqual(['RunPodSandbox']);
  });

  it('the status of an image is asked for again after a pull, and not after other changes', () => {
    const methods = planned([RUN, STATUS, KUBELETS_PULL, STATUS, CREATE, STATUS]).map(
      ({ call }) => call.method,
    );
    expect(methods).toEqual(['RunPodSandbox', 'ImageStatus', 'PullImage', 'ImageStatus', 'CreateContainer']);
  });
});
