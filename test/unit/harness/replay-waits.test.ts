import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { compare } from '../../../src/harness/compare/compare';
import { readRules, rulesFor } from '../../../src/harness/compare/rules';
import { readRecorded } from '../../../src/harness/drive/recorded';
import { replay } from '../../../src/harness/drive/replay';
import { asText } from '../../../src/harness/json';
import type { JsonObject } from '../../../src/proto/fields';
import { FakeCri, Refusal, type Spoil } from './support/fake-cri';
import { containerOf, podOf, recorded, type Call } from './support/replay-walk';

const DOCKER = ['docker', '28.5.2'] as const;
const CONTAINERD = ['containerd', '2.1.9'] as const;
/** The polls of the walk, in order. */
const POLLS = [
  'PodSandboxStatus',
  'ContainerStats',
  'ListContainerStats',
  'ListPodSandboxStats',
  'ListContainers',
];

/** Each runtime answers with its peculiarities, which the shipped rules explain. */
const PECULIAR: Readonly<Record<string, (fake: FakeCri) => Spoil>> = {
  docker:
    (fake) =>
    ({ method }, answer) =>
      method === 'PodSandboxStatus' ? { ...answer, containers_statuses: statusesOf(fake) } : answer,
  containerd:
    (fake) =>
    ({ method }, answer) => {
      if (method === 'ListPodSandboxStats') throw new Refusal(grpc.status.UNKNOWN, 'cgroupPath is empty');
      if (method !== 'ListContainerStats') return answer;
      const all = [...fake.containers.values()];
      const attributes = all.map(({ id, config: { metadata, labels } }) => ({ id, metadata, labels }));
      return { stats: attributes.map((of) => ({ attributes: of as JsonObject })) };
    },
};

function statusesOf(fake: FakeCri): JsonObject[] {
  return [...fake.containers.values()].map(({ id, state, config }) => ({
    ...{ id, state, metadata: config.metadata!, created_at: '1000' },
    ...(state === 'CONTAINER_CREATED' ? {} : { started_at: '2000' }),
    ...(state === 'CONTAINER_EXITED' ? { finished_at: '3000', exit_code: 3 } : {}),
  }));
}

/** A running container, a container that has ended, and one poll of each kind. */
const withPolls =
  (fake: FakeCri) =>
  async (call: Call): Promise<void> => {
    const { pod_sandbox_id = '' } = await call('RunPodSandbox', { config: podOf('web') });
    const ids: string[] = [];
    for (const name of ['main', 'job']) {
      const request = { pod_sandbox_id, sandbox_config: podOf('web'), config: containerOf(name) };
      const { container_id = '' } = await call('CreateContainer', request);
      await call('StartContainer', { container_id });
      ids.push(asText(container_id));
    }
    const [main = '', job = ''] = ids;
    fake.exit(job, 3);
    await call('PodSandboxStatus', { pod_sandbox_id });
    await call('ContainerStats', { container_id: main });
    await call('ListContainerStats', {});
    await call('ListPodSandboxStats', {});
    await call('ListContainers', {});
    await call('RemovePodSandbox', { pod_sandbox_id });
  };

describe.each([
  [CONTAINERD, DOCKER],
  [DOCKER, CONTAINERD],
])('a replay of a tape of %j on %j', (one, other) => {
  let a: FakeCri;
  let b: FakeCri;
  let tape: string;
  beforeAll(async () => {
    a = await FakeCri.start(...one);
    b = await FakeCri.start(...other);
    for (const [fake, [name]] of [[a, one] as const, [b, other] as const]) fake.spoil = PECULIAR[name]!(fake);
    tape = await recorded(a, withPolls(a));
  });
  beforeEach(() => {
    // The second container ends when it has started.
    b.calls.length = 0;
    b.onCall = ({ method }) => {
      if (method === 'PodSandboxStatus') b.exit([...b.containers.keys()][1] ?? '', 3);
    };
  });
  afterAll(async () => {
    await a.stop();
    await b.stop();
  });

  const replayed = async (waitMs: number, rules = ''): ReturnType<typeof replay> =>
    replay(tape, await readRecorded(tape), {
      ...{ to: b.endpoint, speed: 'max', images: new Map(), waitMs, scratch: join(b.directory, 'scratch') },
      ...{ signal: new AbortController().signal },
      ...(rules === '' ? {} : { rules: readRules(rules, 'mine.yaml') }),
    });
  const polls = (): string[] => b.methods().filter((method) => POLLS.includes(method));

  it('asks once for answers whose differences rules explain', async () => {
    const { recorded: was, live } = await replayed(2_000);
    const { calls } = compare(was, live, rulesFor(was.runtime, live.runtime));
    expect(calls.flatMap(({ differences }) => differences)).toEqual([]);
    expect(polls()).toEqual(POLLS);
  });

  it('repeats a poll that lacks a container for no known reason', async () => {
    const peculiar = b.spoil;
    let lists = 0;
    b.spoil = (call, answer) =>
      call.method === 'ListContainers' && ++lists < 3 ? {} : peculiar(call, answer);
    const { recorded: was, live } = await replayed(2_000);
    b.spoil = peculiar;
    const { differences } = compare(was, live, rulesFor(was.runtime, live.runtime));
    expect([differences, lists]).toEqual([0, 3]);
  });

  it('does not repeat a poll whose difference a rule of the user explains', async () => {
    const peculiar = b.spoil;
    b.spoil = (call, answer) => (call.method === 'ListContainers' ? {} : peculiar(call, answer));
    const rules = `
rules:
  - path: ListContainers.containers[test/web/*].@item
    as: ignore
    because: our list is empty
`;
    await replayed(2_000, rules);
    b.spoil = peculiar;
    expect(b.methods().filter((method) => method === 'ListContainers')).toHaveLength(1);
  });
});

it.each([
  {
    ...{ desc: 'may take longer than its recorded deadline, which is reported', was: 'OK', is: 'OK' },
    notes: ['1 call took longer than the recorded deadline, after which the client would have given up'],
  },
  {
    ...{ desc: 'gets no additional time if the runtime missed the deadline in the recording', notes: [] },
    ...{ was: 'DEADLINE_EXCEEDED', is: 'DEADLINE_EXCEEDED' },
  },
])('a replayed call $desc', async ({ was, is, notes: expected }) => {
  const [a, b] = [await FakeCri.start('aaaa'), await FakeCri.start('bbbb')];
  a.spoil = ({ method }, answer) => {
    if (method === 'StopContainer' && was !== 'OK')
      throw new Refusal(grpc.status.DEADLINE_EXCEEDED, 'the Engine is slow');
    return answer;
  };
  try {
    const tape = await recorded(a, async (call, endpoint) => {
      const { pod_sandbox_id = '' } = await call('RunPodSandbox', { config: podOf('web') });
      const request = { pod_sandbox_id, sandbox_config: podOf('web'), config: containerOf('main') };
      const { container_id = '' } = await call('CreateContainer', request);
      await call('StartContainer', { container_id });
      await endpoint.call('StopContainer', { container_id, timeout: '0' }, { deadlineMs: 1_000 });
      await call('RemovePodSandbox', { pod_sandbox_id });
    });
    b.onCall = async ({ method }) => {
      if (method === 'StopContainer') await new Promise((resolve) => setTimeout(resolve, 1_500));
    };
    const { live, notes } = await replay(tape, await readRecorded(tape), {
      ...{ to: b.endpoint, speed: 'max', images: new Map(), waitMs: 60_000 },
      ...{ scratch: join(b.directory, 'scratch'), signal: new AbortController().signal },
    });
    expect(live.calls.find(({ method }) => method === 'StopContainer')?.status).toBe(is);
    expect(notes.filter((note) => note.includes('deadline'))).toEqual(expected);
  } finally {
    await a.stop();
    await b.stop();
  }
});
