import { compare } from '../../../src/harness/compare/compare';
import type { Difference } from '../../../src/harness/compare/comparison';
import { rulesFor } from '../../../src/harness/compare/rules';
import type { Observation, ObservedCall } from '../../../src/harness/observation';

const METADATA = { name: 'web-0', namespace: 'default', uid: 'u' };
type Call = Partial<ObservedCall> & Pick<ObservedCall, 'method'>;

/** Calls of one second each, two seconds apart, about the container `c` of the sandbox `p`. */
function seen(calls: readonly Call[]): Observation {
  const config = { metadata: METADATA };
  const made: readonly Call[] = [
    { method: 'RunPodSandbox', request: { config }, response: { pod_sandbox_id: 'p' } },
    {
      method: 'CreateContainer',
      request: { pod_sandbox_id: 'p', config: { metadata: { name: 'main' } }, sandbox_config: config },
      response: { container_id: 'c' },
    },
  ];
  return {
    source: 'x',
    runtime: { name: 'x', version: '1' },
    calls: [...made, ...calls].map((call, at) => ({
      ...{ n: at + 1, t: at * 2, ms: 1000, request: {}, status: 'OK' },
      ...call,
    })),
  };
}

const status = (state: string): Call => ({
  ...{ method: 'ContainerStatus', request: { container_id: 'c' } },
  ...(state === 'NOT_FOUND'
    ? { status: state }
    : { response: { status: { id: 'c', metadata: { name: 'main' }, state } } }),
});
const list = (isListed: boolean): Call => ({
  method: 'ListContainers',
  request: { filter: { pod_sandbox_id: 'p' } },
  response: {
    containers: isListed
      ? [{ id: 'c', pod_sandbox_id: 'p', metadata: { name: 'main' }, state: 'CONTAINER_RUNNING' }]
      : [],
  },
});

function differences(a: readonly Call[], b: readonly Call[]): Difference[] {
  const [ofA, ofB] = [seen(a), seen(b)];
  return compare(ofA, ofB, rulesFor(ofA.runtime, ofB.runtime)).calls.flatMap((call) => call.differences);
}

const LIFE = ['CONTAINER_CREATED', 'CONTAINER_RUNNING', 'CONTAINER_EXITED', 'NOT_FOUND'].map(status);

describe('a life that goes back is a difference, whatever the other side has seen:', () => {
  it('a container that is not found and is alive again later', () => {
    const b = [status('CONTAINER_RUNNING'), status('NOT_FOUND'), ...LIFE.slice(1)];
    expect(differences(LIFE, b)).toContainEqual({
      ...{ path: 'ContainerStatus.@state', a: undefined, b: 'NOT_FOUND, CONTAINER_RUNNING' },
      why: 'on B the state CONTAINER_RUNNING came after NOT_FOUND',
    });
  });

  it('a container that the other side did not see in its later state', () => {
    const a = [status('CONTAINER_RUNNING')];
    const b = ['CONTAINER_RUNNING', 'CONTAINER_EXITED', 'CONTAINER_RUNNING'].map(status);
    expect(differences(a, b)).toEqual([
      expect.objectContaining({ path: 'ContainerStatus.@state', b: 'CONTAINER_EXITED, CONTAINER_RUNNING' }),
    ]);
  });

  it('a container that disappears from a list and comes back', () => {
    const a = [list(true), list(true)];
    expect(differences(a, [list(true), list(false), list(true)])).toEqual([
      expect.objectContaining({
        ...{ path: 'ListContainers.containers[default/web-0/main].@state', b: 'gone, CONTAINER_RUNNING' },
      }),
    ]);
  });
});

describe('a life goes forward', () => {
  it('if its container is not found before it is created', () => {
    expect(differences(LIFE, [status('NOT_FOUND'), status('NOT_FOUND'), ...LIFE])).toEqual([]);
  });

  it('if the call that found the older state was answered while the other call ran', () => {
    const late = { ...status('CONTAINER_EXITED'), t: 20, ms: 5000 };
    const early = { ...status('CONTAINER_RUNNING'), t: 21, ms: 100 };
    const end = { ...status('CONTAINER_EXITED'), t: 30 };
    expect(differences([status('CONTAINER_RUNNING'), end], [late, early, end])).toEqual([]);
  });

  it('if another pod gets its name', () => {
    const pod = (id: string, state: string): Call => ({
      ...{ method: 'PodSandboxStatus', request: { pod_sandbox_id: id } },
      response: { status: { id, metadata: METADATA, state } },
    });
    const both = [
      ...[pod('p', 'SANDBOX_READY'), pod('p', 'SANDBOX_NOTREADY')],
      {
        method: 'RunPodSandbox',
        request: { config: { metadata: METADATA } },
        response: { pod_sandbox_id: 'q' },
      },
      pod('q', 'SANDBOX_READY'),
    ];
    expect(differences(both, both)).toEqual([]);
  });
});

it('pods that were made again under one name are paired by their creation, and not by their order in a list', () => {
  const again: Call = {
    ...{ method: 'RunPodSandbox', request: { config: { metadata: METADATA } } },
    response: { pod_sandbox_id: 'q' },
  };
  const item = (id: string, created_at: string, state: string) => ({
    id,
    metadata: METADATA,
    created_at,
    state,
  });
  const [old, next] = [item('p', '10', 'SANDBOX_NOTREADY'), item('q', '20', 'SANDBOX_READY')];
  const strange = item('z', '30', 'SANDBOX_NOTREADY');
  const pods = (...items: ReturnType<typeof item>[]): Call => ({
    method: 'ListPodSandbox',
    response: { items },
  });
  expect(differences([again, pods(old, next)], [again, pods(next, old)])).toEqual([]);
  expect(differences([again, pods(old, next), pods(next)], [again, pods(next, old), pods(next)])).toEqual([]);
  expect(differences([again, pods(strange, old, next)], [again, pods(next, old, strange)])).toEqual([]);
});
