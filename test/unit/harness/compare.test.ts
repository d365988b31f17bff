import { compare } from '../../../src/harness/compare/compare';
import type { Comparison, Difference } from '../../../src/harness/compare/comparison';
import { readRules, rulesFor } from '../../../src/harness/compare/rules';
import type { Observation, ObservedCall } from '../../../src/harness/observation';
import { A_RUN, B_RUN, walk, type RunOptions } from './support/walk';

interface Mutable {
  [name: string]: MutableJson;
}
type MutableJson = string | number | boolean | MutableJson[] | Mutable;
type MutableCall = Omit<ObservedCall, 'request' | 'response' | 'messages' | 'status'> & {
  status: string;
  request: Mutable;
  response: Mutable;
  messages: Mutable[];
};

const CONTAINERD = { name: 'containerd', version: '2.1.4' };

/** Returns side B with a defect in it. */
function mutant(
  change: (calls: MutableCall[]) => MutableCall[] | undefined,
  options: RunOptions = B_RUN,
): Observation {
  // structuredClone() would keep objects that calls share.
  const observation = JSON.parse(JSON.stringify(walk(options))) as Observation;
  const calls = observation.calls as MutableCall[];
  return { ...observation, calls: change(calls) ?? calls };
}

const of = (calls: MutableCall[], method: string): MutableCall[] =>
  calls.filter((call) => call.method === method);
const first = (calls: MutableCall[], method: string): MutableCall => of(calls, method)[0]!;
const statuses = (calls: MutableCall[], state: string): Mutable[] =>
  of(calls, 'ContainerStatus')
    .filter(({ status }) => status === 'OK')
    .map(({ response }) => response.status as Mutable | undefined)
    .filter((status): status is Mutable => status?.state === state);

function compared(b: Observation, users = ''): Comparison {
  const a = walk(A_RUN);
  const rules = users === '' ? [] : readRules(users, 'my.yaml');
  return compare(a, b, rulesFor(a.runtime, b.runtime, rules));
}

const differences = ({ calls }: Comparison): Difference[] => calls.flatMap((call) => call.differences);
const paths = (comparison: Comparison): string[] => [
  ...new Set(differences(comparison).map(({ path }) => path)),
];

it('two runs are equal if they differ only in ids, times, addresses and numbers of polls', () => {
  const comparison = compared(walk(B_RUN));
  expect(differences(comparison)).toEqual([]);
  expect(comparison).toMatchObject({ differences: 0, allowed: 0, hidden: 0 });
  const main = comparison.calls.find(
    ({ method, container }) => method === 'CreateContainer' && container === 'main',
  );
  expect(main).toMatchObject({ pod: 'default/web-0', occurrence: 0, a: { calls: 1 }, b: { calls: 1 } });
  const polled = comparison.calls.find(
    ({ method, container }) => method === 'ContainerStatus' && container === 'main',
  );
  expect([polled?.a?.calls, polled?.b?.calls]).toEqual([3, 9]);
});

describe('a rule for a feature that one runtime lacks', () => {
  const lacks = (path: string): string =>
    `rules: [{path: '${path}', as: missing, only: {any: lacking}, because: it does}]`;
  /** Returns a run of the runtime `name` in which `change` was applied to each running or exited container's status. */
  const changed = (side: 'a' | 'b', name: string, change: (status: Mutable) => void): Observation =>
    mutant(
      (calls) => {
        for (const state of ['CONTAINER_RUNNING', 'CONTAINER_EXITED'])
          for (const status of statuses(calls, state)) change(status);
        return undefined;
      },
      { ...(side === 'a' ? A_RUN : B_RUN), runtime: { name, version: '1' } },
    );
  const found = (a: Observation, b: Observation, path: string): string[] =>
    paths(compare(a, b, rulesFor(a.runtime, b.runtime, readRules(lacks(path), 'my.yaml')))).filter(
      (one) => !one.startsWith('Version'),
    );
  const PATH = 'ContainerStatus.status.log_path';
  const without = (status: Mutable): void => {
    delete status.log_path;
  };
  const whole = (): void => undefined;

  it('allows an empty value of this runtime, on either side', () => {
    expect(found(changed('a', 'x', whole), changed('b', 'lacking', without), PATH)).toEqual([]);
    expect(found(changed('a', 'lacking', without), changed('b', 'x', whole), PATH)).toEqual([]);
  });

  it('hides no other difference: neither a missing value of the other runtime nor another value', () => {
    expect(found(changed('a', 'x', without), changed('b', 'lacking', whole), PATH)).toEqual([PATH]);
    const other = changed('b', 'lacking', (status) => void (status.log_path = '/else'));
    expect(found(changed('a', 'x', whole), other, PATH)).toEqual([PATH]);
  });

  it('can be about the order of times', () => {
    const path = 'ContainerStatus.status.@order';
    const late = (status: Mutable): void =>
      void (status.created_at = String(BigInt(status.started_at as string) + 1n));
    expect(found(changed('a', 'x', whole), changed('b', 'lacking', late), path)).toEqual([]);
    expect(found(changed('a', 'x', late), changed('b', 'lacking', whole), path)).toEqual([path]);
  });
});

describe('the comparison finds a wrong runtime with', () => {
  it('a wrong exit code', () => {
    const b = mutant((calls) => {
      for (const status of statuses(calls, 'CONTAINER_EXITED')) status.exit_code = 137;
      return undefined;
    });
    const comparison = compared(b);
    expect(differences(comparison)[0]).toEqual({
      ...{ path: 'ContainerStatus.status.exit_code', a: 3, b: 137, why: 'they are not equal' },
    });
    expect(paths(comparison)).toHaveLength(1);
  });

  it('a lost label', () => {
    const b = mutant((calls) => {
      for (const { response } of of(calls, 'PodSandboxStatus'))
        delete ((response.status as Mutable).labels as Mutable).tier;
      return undefined;
    });
    expect(differences(compared(b))).toEqual([
      { path: 'PodSandboxStatus.status.labels[tier]', a: 'front', b: undefined, why: 'only A has it' },
    ]);
  });

  it('two swapped mounts', () => {
    const b = mutant((calls) => {
      for (const status of statuses(calls, 'CONTAINER_RUNNING')) {
        const [one, other] = status.mounts as Mutable[];
        status.mounts = [
          { ...one!, host_path: other!.host_path! },
          { ...other!, host_path: one!.host_path! },
        ];
      }
      return undefined;
    });
    expect(paths(compared(b))).toEqual([
      'ContainerStatus.status.mounts[/data].host_path',
      'ContainerStatus.status.mounts[/etc/app].host_path',
    ]);
  });

  it('a missing event', () => {
    const b = mutant((calls) => {
      const watch = first(calls, 'GetContainerEvents');
      watch.messages = watch.messages.filter(
        ({ container_id: id, container_event_type: type }) =>
          id !== 'b-main' || type !== 'CONTAINER_STOPPED_EVENT',
      );
      return undefined;
    });
    expect(differences(compared(b))).toEqual([
      {
        ...{ path: 'GetContainerEvents.@event', a: 'CONTAINER_STOPPED_EVENT', b: undefined },
        why: 'B lacks the event CONTAINER_STOPPED_EVENT of default/web-0/main',
      },
    ]);
  });

  it('a container that was created after its start', () => {
    const b = mutant((calls) => {
      for (const status of statuses(calls, 'CONTAINER_RUNNING'))
        status.created_at = String(BigInt(status.started_at as string) + 1n);
      return undefined;
    });
    const found = differences(compared(b));
    expect(found).toHaveLength(2);
    expect(found[0]).toMatchObject({
      path: 'ContainerStatus.status.@order',
      why: "B's created_at is after started_at",
    });
  });

  it('one id for two containers', () => {
    const b = mutant((calls) => {
      of(calls, 'CreateContainer')[1]!.response.container_id = 'b-main';
      return undefined;
    });
    expect(differences(compared(b))).toContainEqual(
      expect.objectContaining({
        path: 'CreateContainer.container_id',
        why: "B's b-main already corresponds to A's a-main, according to CreateContainer.container_id",
      }),
    );
  });

  it('another error code', () => {
    const b = mutant((calls) => {
      for (const call of of(calls, 'ContainerStatus'))
        if (call.status === 'NOT_FOUND') call.status = 'UNKNOWN';
      return undefined;
    });
    const found = differences(compared(b));
    expect(found).toHaveLength(2);
    expect(found[0]).toMatchObject({ path: 'ContainerStatus.@status', a: 'NOT_FOUND', b: 'UNKNOWN' });
  });

  it('another code of a call that changes something', () => {
    const b = mutant((calls) => {
      first(calls, 'StopPodSandbox').status = 'INTERNAL';
      return undefined;
    });
    expect(differences(compared(b))).toEqual([
      { path: 'StopPodSandbox.@status', a: 'OK', b: 'INTERNAL', why: 'the codes are not equal' },
    ]);
  });

  it('a lost environment variable', () => {
    const b = mutant((calls) => {
      (first(calls, 'CreateContainer').request.config as Mutable).envs = [];
      return undefined;
    });
    expect(differences(compared(b))).toMatchObject([
      { path: 'CreateContainer.request.config.envs[COLOUR].@item', why: 'only A has this item' },
    ]);
  });

  it('a missing call', () => {
    const b = mutant((calls) => calls.filter(({ method }) => method !== 'StopPodSandbox'));
    expect(differences(compared(b))).toEqual([
      { path: 'StopPodSandbox.@call', a: 'called', b: undefined, why: 'only A has this call' },
    ]);
  });

  it('a field that is not set', () => {
    const b = mutant((calls) => {
      for (const state of ['CONTAINER_RUNNING', 'CONTAINER_EXITED'])
        for (const status of statuses(calls, state)) delete status.log_path;
      return undefined;
    });
    const found = differences(compared(b));
    expect(found).toHaveLength(4);
    expect(found[0]).toMatchObject({ path: 'ContainerStatus.status.log_path', a: '/log/0.log', b: '' });
  });

  it('lists that lack the containers', () => {
    const empty = mutant((calls) => {
      for (const call of of(calls, 'ListContainers')) call.response.containers = [];
      return undefined;
    });
    expect(paths(compared(empty))).toEqual([
      'ListContainers.containers[default/web-0/main].@item',
      'ListContainers.containers[default/web-0/helper].@item',
    ]);
  });

  it('another image id in the status of a container', () => {
    const b = mutant((calls) => {
      for (const status of statuses(calls, 'CONTAINER_RUNNING')) status.image_id = 'sha256:other';
      return undefined;
    });
    expect(differences(compared(b))[0]).toMatchObject({
      path: 'ContainerStatus.status.image_id',
      why: "A's sha256:a-image already corresponds to B's sha256:b-image, according to PullImage.image_ref",
    });
  });

  it('a state that is never reached', () => {
    const b = mutant((calls) =>
      calls.filter(
        (call) =>
          call.method !== 'ContainerStatus' ||
          (call.status === 'OK' && (call.response.status as Mutable).state !== 'CONTAINER_EXITED'),
      ),
    );
    expect(paths(compared(b))).toEqual(['ContainerStatus.@status']);
  });

  it('another address family', () => {
    expect(differences(compared(walk({ ...B_RUN, ip: 'fd00::7' })))).toMatchObject([
      { path: 'PodSandboxStatus.status.network.ip', why: 'the addresses are not of the same family' },
    ]);
  });
});

describe('rules', () => {
  const lost = mutant(
    (calls) => {
      for (const { response } of of(calls, 'PodSandboxStatus'))
        delete ((response.status as Mutable).labels as Mutable).tier;
      return undefined;
    },
    { ...B_RUN, runtime: CONTAINERD },
  );

  it('from the user allow a difference, with a reason', () => {
    const comparison = compared(
      lost,
      `rules: [{path: 'PodSandboxStatus.status.labels[ti*]', as: ignore, because: known, only: {b: 'containerd < 2.2'}}]`,
    );
    expect(comparison).toMatchObject({ differences: 0, allowed: 1 });
    expect(comparison.calls.flatMap(({ allowed }) => allowed)).toEqual([
      {
        ...{ path: 'PodSandboxStatus.status.labels[tier]', a: 'front', b: undefined },
        ...{ rule: 'my.yaml rules[0]', because: 'known' },
      },
    ]);
    expect(comparison.rules[0]).toMatchObject({ met: 1, needed: 1 });
  });

  it.each([
    [
      "{path: 'PodSandboxStatus.labels', as: ignore, because: x, only: {b: containerd < 2.1}}",
      'applies only to b: containerd < 2.1',
    ],
    ["{path: 'PodSandboxStatus.labels[app]', as: ignore, because: x}", 'applies to a different key'],
    ["{path: '*.labels', as: ignore, because: x, values: [back]}", 'applies only to the values back'],
  ])('that nearly match are reported: %s', (rule, why) => {
    const comparison = compared(lost, `rules: [${rule}]`);
    expect(differences(comparison)).toEqual([
      expect.objectContaining({ near: { rule: expect.stringContaining('my.yaml rules[0]') as string, why } }),
    ]);
    expect(comparison.rules[0]?.needed).toBe(0);
  });

  it('for containerd, which reports no image_id, are chosen by its name', () => {
    const strip = (calls: MutableCall[]): undefined => {
      for (const state of ['CONTAINER_RUNNING', 'CONTAINER_EXITED'])
        for (const status of statuses(calls, state)) delete status.image_id;
      return undefined;
    };
    expect(compared(mutant(strip)).differences).toBe(4);
    expect(compared(mutant(strip, { ...B_RUN, runtime: CONTAINERD }))).toMatchObject({
      differences: 0,
      allowed: 4,
    });
  });
});

it('hidden values of a tape are counted and not compared', () => {
  const a = mutant((calls) => {
    const [env] = (first(calls, 'CreateContainer').request.config as Mutable).envs as Mutable[];
    env!.value = 'hidden:0123456789abcdef';
    const big = { head: 'dWlkPTA=', bytes: 5, hash: 'hidden:0123456789abcdef' };
    first(calls, 'ExecSync').response.stdout = big;
    return undefined;
  }, A_RUN);
  const b = walk(B_RUN);
  const comparison = compare(a, b, rulesFor(a.runtime, b.runtime));
  expect(differences(comparison)).toEqual([]);
  expect(comparison.hidden).toBe(2);
});

it('a message that is empty on one side and missing on the other is a note', () => {
  const b = mutant((calls) => {
    for (const state of ['CONTAINER_RUNNING', 'CONTAINER_EXITED'])
      for (const status of statuses(calls, state)) status.user = {};
    return undefined;
  });
  const comparison = compared(b);
  expect(differences(comparison)).toEqual([]);
  expect(comparison.calls.flatMap(({ notes }) => notes.filter((note) => note.includes('empty')))).toEqual(
    Array.from(
      { length: 2 },
      () => 'ContainerStatus.status.user is empty on B and missing on the other side',
    ),
  );
});

it('a list that fails each time is one difference, and its missing items are none', () => {
  const comparison = compared(
    mutant((calls) => {
      for (const call of of(calls, 'ListContainers'))
        Object.assign(call, { status: 'UNKNOWN', response: {} });
      return undefined;
    }),
  );
  expect([...paths(comparison)]).toEqual(['ListContainers.@status']);
  expect(comparison.calls.flatMap(({ notes }) => notes)).toContain(
    'only A lists it, because the list failed on B',
  );
});
