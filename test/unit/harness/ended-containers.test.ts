import { compare } from '../../../src/harness/compare/compare';
import { rulesFor } from '../../../src/harness/compare/rules';
import type { Observation, ObservedCall } from '../../../src/harness/observation';

type Call = Partial<ObservedCall> & Pick<ObservedCall, 'method'>;

const POD = { metadata: { name: 'web', namespace: 'test' } };
const MADE: readonly Call[] = [
  { method: 'RunPodSandbox', request: { config: POD }, response: { pod_sandbox_id: 'p' } },
  {
    method: 'CreateContainer',
    request: { pod_sandbox_id: 'p', config: { metadata: { name: 'main' } }, sandbox_config: POD },
    response: { container_id: 'c' },
  },
];
const STOP: Call = { method: 'StopContainer', request: { container_id: 'c' }, response: {} };
const STOP_POD: Call = { method: 'StopPodSandbox', request: { pod_sandbox_id: 'p' }, response: {} };
const [RUNNING, EXITED] = ['CONTAINER_RUNNING', 'CONTAINER_EXITED'].map((state): Call => ({
  ...{ method: 'ContainerStatus', request: { container_id: 'c' } },
  response: { status: { id: 'c', metadata: { name: 'main' }, state } },
})) as [Call, Call];
const stats = (isListed: boolean): Call => ({
  method: 'ListContainerStats',
  response: isListed ? { stats: [{ attributes: { id: 'c', metadata: { name: 'main' } } }] } : {},
});
const [LISTED, MISSING] = [stats(true), stats(false)];

/** Calls of one second each, two seconds apart, about the container `main` of the pod `web`. */
function seen(name: string, version: string, calls: readonly Call[]): Observation {
  return {
    ...{ source: 'x', runtime: { name, version } },
    calls: [...MADE, ...calls].map((call, at) => ({
      ...{ n: at + 1, t: at * 2, ms: 1000, request: {}, status: 'OK' },
      ...call,
    })),
  };
}

/** Compares docker with containerd, which lists the stats of each container by default. */
function judged(
  docker: readonly Call[],
  containerd: readonly Call[] = docker.map((call) => (call === MISSING ? LISTED : call)),
): readonly string[] {
  const [a, b] = [seen('containerd', '2.1.9', containerd), seen('docker', '28.5', docker)];
  const { calls } = compare(a, b, rulesFor(a.runtime, b.runtime));
  return calls.flatMap(({ differences, allowed }) => [
    ...differences.map(({ path }) => `${path} differs`),
    ...allowed.map(({ path }) => `${path} is allowed`),
  ]);
}

const STATE = 'ListContainerStats.stats[test/web/main].@state';
const ITEM = 'ListContainerStats.stats[test/web/main].@item';

describe('the stats of a container that docker does not list are', () => {
  it.each([
    ['has ended', [RUNNING, EXITED, MISSING]],
    ['ends before the next report', [RUNNING, MISSING, EXITED, STOP]],
    ['was stopped', [RUNNING, STOP, MISSING]],
    ['was stopped with its pod', [RUNNING, STOP_POD, MISSING, EXITED]],
    ['was not reported as running', [MISSING]],
    ['was reported as running only while the list was read', [{ ...RUNNING, ms: 5_000 }, MISSING]],
  ])('allowed to be missing if the container %s', (_, calls) => {
    expect(judged(calls)).toEqual([`${ITEM} is allowed`]);
  });

  it.each([
    ['runs before and after', [RUNNING, MISSING, RUNNING]],
    ['runs at the last report', [RUNNING, MISSING]],
    ['runs at all of many reports', [RUNNING, RUNNING, RUNNING, MISSING, RUNNING, RUNNING, EXITED]],
    ['runs at the last report before an overlapping one', [RUNNING, { ...RUNNING, ms: 5_000 }, MISSING]],
    ['is stopped afterwards', [RUNNING, MISSING, STOP, EXITED]],
    ['is stopped afterwards with its pod', [RUNNING, MISSING, STOP_POD, EXITED]],
  ])('a difference if the container %s', (_, calls) => {
    expect(judged(calls)).toEqual([`${ITEM} differs`]);
  });
});

describe('the stats of a container that docker lists no more are', () => {
  it.each([
    ['allowed', 'has ended', [RUNNING, LISTED, EXITED, MISSING]],
    ['allowed', 'was stopped', [RUNNING, LISTED, STOP, MISSING]],
    ['differs', 'still runs', [RUNNING, LISTED, MISSING, RUNNING]],
  ])('%s if the container %s', (verdict, _, calls) => {
    expect(judged(calls)).toEqual([`${STATE} ${verdict === 'allowed' ? 'is allowed' : verdict}`]);
  });
});

it('the stats of a container that only docker lists to the end are a difference', () => {
  expect(judged([RUNNING, LISTED, EXITED, LISTED], [RUNNING, LISTED, EXITED, MISSING])).toEqual([
    `${STATE} differs`,
  ]);
});
