import { Lives } from '../../../../src/harness/html/page-lives';
import { Subjects } from '../../../../src/harness/subjects';
import type { TapeLine } from '../../../../src/harness/tape/format';
import type { Json } from '../../../../src/proto/fields';

/** A call that the runtime answered with OK at `t`. */
function call(n: number, t: number, method: string, request: Json, response: Json = {}): TapeLine[] {
  return [
    { n, t: t - 0.1, method, api: 'v1', request },
    { n, t, method, status: 'OK', ms: 100, response },
  ];
}

function livesOf(lines: readonly TapeLine[]): { lives: Lives; states: readonly string[] } {
  const lives = new Lives();
  for (const line of lines) lives.add(line);
  return { lives, states: lives.states(new Subjects()).map(short) };
}

function short({ t, of, id, state, by, exit_code, reason }: ReturnType<Lives['states']>[number]): string {
  return [t, of, id, state, by, exit_code, reason].filter((part) => part !== undefined).join(' ');
}

it('the page follows a pod by the answers to the calls that change it', () => {
  const { states } = livesOf([
    ...call(1, 1, 'RunPodSandbox', { config: {} }, { pod_sandbox_id: 'p' }),
    ...call(2, 2, 'CreateContainer', { pod_sandbox_id: 'p' }, { container_id: 'c' }),
    ...call(3, 3, 'StartContainer', { container_id: 'c' }),
    ...call(4, 4, 'StopContainer', { container_id: 'c' }),
    ...call(5, 5, 'RemoveContainer', { container_id: 'c' }),
    ...call(6, 6, 'StopPodSandbox', { pod_sandbox_id: 'p' }),
    ...call(7, 7, 'RemovePodSandbox', { pod_sandbox_id: 'p' }),
  ]);
  expect(states).toEqual([
    '1 sandbox p running answer',
    '2 container c created answer',
    '3 container c running answer',
    '4 container c exited answer',
    '5 container c removed answer',
    '6 sandbox p exited answer',
    '7 sandbox p removed answer',
  ]);
});

it("the page accepts names of Object.prototype's properties as methods, events and states", () => {
  const { states, lives } = livesOf([
    ...call(1, 1, 'constructor', { pod_sandbox_id: 'p', container_id: 'c' }),
    ...call(2, 2, 'ListContainers', {}, { containers: [{ id: 'c', state: 'constructor' }] }),
    { n: 3, t: 3, method: 'GetContainerEvents', api: 'v1', request: {} },
    ...[
      {
        n: 3,
        t: 4,
        method: 'GetContainerEvents',
        i: 0,
        message: { container_id: 'c', container_event_type: 'constructor' },
      },
    ],
  ]);
  expect({ states, events: lives.events(new Subjects()) }).toEqual({ states: [], events: [] });
});

it('a failed call changes no state', () => {
  const { states } = livesOf([
    { n: 1, t: 0, method: 'StartContainer', request: { container_id: 'c' } },
    { n: 1, t: 1, method: 'StartContainer', status: 'UNKNOWN', ms: 1 },
  ]);
  expect(states).toEqual([]);
});

it('the page follows sandboxes and containers by lists and statuses, in which JSON omits the first state', () => {
  const { states } = livesOf([
    ...call(1, 1, 'ListPodSandbox', {}, { items: [{ id: 'p' }, { id: 'q', state: 'SANDBOX_NOTREADY' }] }),
    ...call(2, 2, 'ListContainers', {}, { containers: [{ id: 'c' }] }),
    ...call(3, 3, 'ListContainers', {}, { containers: [{ id: 'c', state: 'CONTAINER_EXITED' }] }),
    ...call(
      4,
      4,
      'ContainerStatus',
      { container_id: 'c' },
      {
        status: { id: 'c', state: 'CONTAINER_EXITED', finished_at: '7', exit_code: 137, reason: 'OOMKilled' },
      },
    ),
  ]);
  expect(states).toEqual([
    '1 sandbox p running answer',
    '1 sandbox q exited answer',
    '2 container c created answer',
    // The exit code comes from the later status, because a list has none.
    '3 container c exited answer 137 OOMKilled',
  ]);
});

it('a status without an exit code means 0', () => {
  const status = { id: 'c', state: 'CONTAINER_EXITED', finished_at: '7' };
  expect(livesOf(call(1, 1, 'ContainerStatus', {}, { status })).states).toEqual([
    '1 container c exited answer 0',
  ]);
});

it('no state goes back: an old list that arrives late changes nothing', () => {
  const { states } = livesOf([
    ...call(1, 1, 'StopContainer', { container_id: 'c' }),
    ...call(2, 2, 'ListContainers', {}, { containers: [{ id: 'c', state: 'CONTAINER_RUNNING' }] }),
  ]);
  expect(states).toEqual(['1 container c exited answer']);
});

it('events also change the states of containers and sandboxes', () => {
  const event = (t: number, message: Json): TapeLine => ({
    n: 1,
    t,
    i: t,
    method: 'GetContainerEvents',
    message,
  });
  const { lives, states } = livesOf([
    event(1, { container_id: 'p', pod_sandbox_status: { id: 'p', state: 'SANDBOX_NOTREADY' } }),
    event(2, { container_id: 'c' }),
    event(3, { container_id: 'c', container_event_type: 'CONTAINER_STARTED_EVENT' }),
    event(4, {
      container_id: 'c',
      container_event_type: 'CONTAINER_STOPPED_EVENT',
      containers_statuses: [{ id: 'c', state: 'CONTAINER_EXITED', finished_at: '4', exit_code: 3 }],
    }),
    event(5, { container_id: 'c', container_event_type: 'CONTAINER_DELETED_EVENT' }),
    event(6, { container_id: 'c', container_event_type: '17' }),
  ]);
  expect(states).toEqual([
    '1 sandbox p exited event',
    '2 container c created event',
    '3 container c running event',
    '4 container c exited event 3',
    '5 container c removed event',
  ]);
  expect(lives.events(new Subjects()).map(({ t, id, type }) => `${t} ${id} ${type}`)).toEqual([
    '1 p created',
    '2 c created',
    '3 c started',
    '4 c stopped',
    '5 c deleted',
  ]);
});
