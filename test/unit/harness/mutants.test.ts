import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { compare } from '../../../src/harness/compare/compare';
import type { Comparison } from '../../../src/harness/compare/comparison';
import { rulesFor } from '../../../src/harness/compare/rules';
import { readRecorded } from '../../../src/harness/drive/recorded';
import { replay } from '../../../src/harness/drive/replay';
import type { JsonObject } from '../../../src/proto/fields';
import { FakeCri, Refusal, type Spoil } from './support/fake-cri';
import { recorded, watchedWalk } from './support/replay-walk';

const DOCKER = { name: 'docker', version: '28.5.2' };
const CONTAINERD = { name: 'containerd', version: '2.1.9' };
const OTHER_ID = 'c'.repeat(64);

/** Returns a defect in the status of a container that is in this state, or in any state. */
const ofStatus =
  (change: (status: JsonObject) => JsonObject, state?: string): Spoil =>
  ({ method }, answer) => {
    const status = answer.status as JsonObject;
    const isMeant = method === 'ContainerStatus' && (state === undefined || status.state === state);
    return isMeant ? { ...answer, status: change(status) } : answer;
  };
const without =
  (name: string) =>
  ({ [name]: _, ...rest }: JsonObject): JsonObject =>
    rest;

/** Ten defects of a runtime, and the place at which the comparison must find each. */
const MUTANTS: readonly (readonly [what: string, spoil: Spoil, path: string])[] = [
  [
    'a wrong exit code',
    ofStatus((status) => ({ ...status, exit_code: 0 }), 'CONTAINER_EXITED'),
    'ContainerStatus.status.exit_code',
  ],
  [
    'a label that is lost',
    ofStatus((status) => ({ ...status, labels: {} })),
    'ContainerStatus.status.labels[app]',
  ],
  [
    'an annotation that is lost',
    ofStatus(without('annotations')),
    'ContainerStatus.status.annotations[note]',
  ],
  [
    'two mounts that are swapped',
    ofStatus((status) => {
      const [hosts, data, ...rest] = status.mounts as JsonObject[];
      const swapped = [
        { ...hosts, host_path: data!.host_path! },
        { ...data, host_path: hosts!.host_path! },
      ];
      return { ...status, mounts: [...swapped, ...rest] };
    }),
    'ContainerStatus.status.mounts[/data].host_path',
  ],
  [
    'an event that is skipped',
    ({ method }, answer) =>
      method === 'GetContainerEvents' && answer.container_event_type === 'CONTAINER_STOPPED_EVENT'
        ? {}
        : answer,
    'GetContainerEvents.@event',
  ],
  [
    'a wrong state after the stop',
    ofStatus(({ finished_at: _at, exit_code: _code, ...status }) => {
      return { ...status, state: 'CONTAINER_RUNNING' };
    }, 'CONTAINER_EXITED'),
    'ContainerStatus.@state',
  ],
  [
    'no finished_at',
    ofStatus(without('finished_at'), 'CONTAINER_EXITED'),
    'ContainerStatus.status.finished_at',
  ],
  [
    'a wrong code of an error',
    ({ method }, answer) => {
      if (method === 'StopPodSandbox') throw new Refusal(grpc.status.INTERNAL, 'no such pod');
      return answer;
    },
    'StopPodSandbox.@status',
  ],
  [
    "another container's id",
    ofStatus((status) => ({ ...status, id: OTHER_ID })),
    'ContainerStatus.status.id',
  ],
  ['a log_path that is lost', ofStatus(without('log_path')), 'ContainerStatus.status.log_path'],
];

describe.each([
  [DOCKER, CONTAINERD],
  [CONTAINERD, DOCKER],
])('the replay of a tape of %j on the runtime %j', (...runtimes) => {
  const [runtimeA, runtimeB] = runtimes;
  let a: FakeCri;
  let b: FakeCri;
  let tape: string;
  beforeAll(async () => {
    a = await FakeCri.start(runtimeA.name, runtimeA.version);
    b = await FakeCri.start(runtimeB.name, runtimeB.version);
    tape = await recorded(a, async (call, endpoint) =>
      watchedWalk(call, endpoint, 'web', { annotations: { note: 'of the container' } }),
    );
  });
  afterAll(async () => {
    await a.stop();
    await b.stop();
  });
  afterEach(() => (b.spoil = (_call, answer) => answer));

  /** Replays as `dockbridge cri replay` does, with its rules for these two runtimes. */
  async function compared(): Promise<Comparison> {
    const done = await replay(tape, await readRecorded(tape), {
      ...{ to: b.endpoint, speed: 'max', images: new Map(), waitMs: 100 },
      ...{ scratch: join(b.directory, 'scratch'), signal: new AbortController().signal },
    });
    expect([done.recorded.runtime, done.live.runtime]).toEqual(runtimes);
    return compare(done.recorded, done.live, rulesFor(done.recorded.runtime, done.live.runtime));
  }
  const paths = ({ calls }: Comparison): string[] =>
    calls.flatMap(({ differences }) => differences.map(({ path }) => path));

  it('reports no difference for a runtime without a defect', async () => {
    expect(paths(await compared())).toEqual([]);
  });

  it.each(MUTANTS)('finds %s', async (_, spoil, path) => {
    b.spoil = spoil;
    expect(paths(await compared())).toContain(path);
  });
});
