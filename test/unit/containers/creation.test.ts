import {
  createOnce,
  type Creation,
  settleExisting,
  SpoolMode,
  type Verdict,
} from '../../../src/containers/creation';
import type { Discovery } from '../../../src/containers/life';
import { EngineError } from '../../../src/docker/errors';
import type { EngineContainerCreate } from '../../../src/engine/types';
import { cancelled, unavailable } from '../../../src/lib/errors';
import type { Services } from '../../../src/server/services';
import type { ContainerRecord } from '../../../src/store/records';
import type { CheckedContainer } from '../../../src/translate/container/container-check';
import { LogWatch } from '../../integration/support/log-watch';
import { rejectionOf } from '../support/errors';
import { containerRecord } from '../support/records';
import { CONTAINER_ID, containerInspect, CREATED_STATE, roomWith } from '../sync/support/room';

const NAME = 'k8s_app_w_s_u_0';
const MINE = containerRecord();
const ABSENT: Discovery = { exists: false, record: undefined };
const STRANGER: Discovery = { exists: true, record: undefined };
const taken = () => new EngineError('FAILED_PRECONDITION', 409, 'Conflict. The container name is in use');

/**
 * An Engine that answers repeated creates of one name with `creates` in turn, and inspects of that name
 * with `looks`. The last entry of each repeats.
 */
function engineThat(creates: (string | Error)[], looks: Discovery[], verdict: Verdict = { id: MINE.id }) {
  const calls: string[] = [];
  const next = <T>(answers: T[]): T => (answers.length > 1 ? answers.shift() : answers[0]) as T;
  const creation: Creation = {
    create: async (name) => {
      calls.push(`create ${name}`);
      const answer = next(creates);
      if (typeof answer === 'string') return Promise.resolve(answer);
      throw answer;
    },
    judge: (holder) => Promise.resolve(holder === undefined ? 'stranger' : verdict),
    owner: 'sandbox',
  };
  const discover = (name: string) => {
    calls.push(`look ${name}`);
    return Promise.resolve(next(looks));
  };
  const services = { life: { discover } } as unknown as Services;
  const controller = new AbortController();
  const run = (patienceMs = 300) =>
    createOnce(services, NAME, { ...creation, patienceMs }, controller.signal);
  return { calls, controller, run };
}

describe('a name that is taken by a container that does not exist', () => {
  it('is retried until the Engine has finished the lost create, and the container of that create is used', async () => {
    const { run, calls } = engineThat([taken()], [ABSENT, ABSENT, { exists: true, record: MINE }]);
    expect(await run()).toBe(MINE.id);
    expect(calls).toEqual(Array.from({ length: 3 }, () => [`create ${NAME}`, `look ${NAME}`]).flat());
  });

  it('is used when the lost create has failed or a removal has ended', async () => {
    const { run, calls } = engineThat([taken(), taken(), 'new'], [ABSENT]);
    expect(await run()).toBe('new');
    expect(new Set(calls)).toEqual(new Set([`create ${NAME}`, `look ${NAME}`]));
  });

  it('never leads to a second container under another name, and in the end fails with UNAVAILABLE', async () => {
    const { run, calls } = engineThat([taken()], [ABSENT]);
    expect(await rejectionOf(run())).toMatch(
      /^UNAVAILABLE Docker Engine says that the name k8s_app_w_s_u_0 is taken/,
    );
    expect(new Set(calls)).toEqual(new Set([`create ${NAME}`, `look ${NAME}`]));
  });

  it('is retried at growing intervals', async () => {
    jest.useFakeTimers();
    try {
      const { run, calls, controller } = engineThat([taken()], [ABSENT]);
      const running = rejectionOf(run(60_000));
      const isAskedAfter = async (ms: number): Promise<void> => {
        const before = calls.length;
        await jest.advanceTimersByTimeAsync(ms - 1);
        expect(calls).toHaveLength(before);
        await jest.advanceTimersByTimeAsync(1);
        expect(calls).toHaveLength(before + 2);
      };
      await jest.advanceTimersByTimeAsync(0);
      for (const ms of [50, 100, 200, 400, 800, 1_000, 1_000]) await isAskedAfter(ms);
      controller.abort(cancelled('gone'));
      expect(await running).toBe('CANCELLED gone');
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('is retried no longer than the caller waits', async () => {
    const { run, controller } = engineThat([taken()], [ABSENT]);
    const running = rejectionOf(run());
    controller.abort(cancelled('gone'));
    expect(await running).toBe('CANCELLED gone');
  });
});

describe('a container that already has the wanted name and attempt', () => {
  const CONTENTS = { image: 'aaaa', command: 'bbbb' };
  const signal = new AbortController().signal;

  async function settled(change: Partial<ContainerRecord>, contents = CONTENTS) {
    const room = roomWith(containerInspect({ state: CREATED_STATE }));
    const { store, life } = room;
    const removeContainer = jest.fn(() => Promise.resolve());
    const docker = { ...room.docker, removeContainer };
    await life.refresh(CONTAINER_ID);
    const known = { ...store.containers.get(CONTAINER_ID)!, contents: CONTENTS, ...change };
    store.containers.put(known);
    const wanted = { contents } as unknown as CheckedContainer;
    const result = await settleExisting({ docker, store, life }, known, wanted, signal).catch(String);
    return {
      result,
      removals: removeContainer.mock.calls.length,
      isKnown: store.containers.get(CONTAINER_ID) !== undefined,
    };
  }

  it.each([
    ['is used when it matches the request', {}, CONTENTS, [CONTAINER_ID, 0, true]],
    ['is replaced when it differs', {}, { ...CONTENTS, command: 'cccc' }, [undefined, 1, false]],
    [
      'is replaced when it does not say from which request it was made',
      { contents: undefined },
      CONTENTS,
      [undefined, 1, false],
    ],
    [
      'causes an error when it has been started',
      { state: 'running' as const },
      CONTENTS,
      [
        `RuntimeError: container app attempt 0 already exists in this sandbox as ${CONTAINER_ID} (running); use another attempt`,
        0,
        true,
      ],
    ],
  ])('%s', async (_, change, contents, expected) => {
    const { result, removals, isKnown } = await settled(change, contents);
    expect([result, removals, isKnown]).toEqual(expected);
  });
});

describe('a name that another container has', () => {
  it('is replaced by another name if that container is foreign, always by the same one', async () => {
    const names = async () => {
      const { run, calls } = engineThat([taken(), 'new'], [STRANGER]);
      expect(await run()).toBe('new');
      return calls;
    };
    const calls = await names();
    expect(calls).toEqual([`create ${NAME}`, `look ${NAME}`, expect.stringMatching(/_[0-9a-f]{8}$/)]);
    expect(await names()).toEqual(calls);
  });

  it('is tried again when its holder was a leftover that has just been removed', async () => {
    const { run, calls } = engineThat([taken(), 'new'], [{ exists: true, record: MINE }], 'removed');
    expect(await run()).toBe('new');
    expect(calls).toEqual([`create ${NAME}`, `look ${NAME}`, `create ${NAME}`]);
  });

  it('fails when foreign containers have both names', async () => {
    const { run } = engineThat([taken()], [STRANGER]);
    expect(await rejectionOf(run())).toMatch(/Conflict/);
  });
});

it('createOnce passes all other errors on', async () => {
  const { run, calls } = engineThat([unavailable('torn')], [ABSENT]);
  expect(await rejectionOf(run())).toBe('UNAVAILABLE torn');
  expect(calls).toEqual([`create ${NAME}`]);
});

const BODY: EngineContainerCreate = {
  Image: 'sha256:abc',
  Labels: {},
  HostConfig: { LogConfig: { Type: 'json-file', Config: { 'max-size': '16m', mode: 'blocking' } } },
};
const BUFFERED = {
  ...BODY,
  HostConfig: {
    LogConfig: {
      Type: 'json-file',
      Config: { 'max-size': '16m', mode: 'non-blocking', 'max-buffer-size': '64m' },
    },
  },
};

const refusal = (status: number, message: string): EngineError =>
  new EngineError('INVALID_ARGUMENT', status, message);

describe('SpoolMode', () => {
  it('sends one request where the Engine accepts the wanted log options', async () => {
    const send = jest.fn(() => Promise.resolve('id'));
    expect(await new SpoolMode(new LogWatch().logger).create(BODY, send)).toBe('id');
    expect(send.mock.calls).toEqual([[BODY]]);
  });

  it('uses a buffer where the Engine’s own options require one, and logs that once', async () => {
    const log = new LogWatch();
    const mode = new SpoolMode(log.logger);
    const send = jest.fn((body: EngineContainerCreate) =>
      body === BODY ? Promise.reject(refusal(400, 'max-buffer-size')) : Promise.resolve('id'),
    );
    expect(await mode.create(BODY, send)).toBe('id');
    expect(await mode.create(BODY, send)).toBe('id');
    expect(send.mock.calls).toEqual([[BODY], [BUFFERED], [BODY], [BUFFERED]]);
    expect(log.lines.map(({ level, message }) => [level, message])).toEqual([
      ['warn', expect.stringContaining('max-buffer-size')],
    ]);
  });

  it('passes on other errors, which the Engine reports only after it accepts the log options', async () => {
    const send = jest.fn((body: EngineContainerCreate) =>
      Promise.reject(refusal(400, body === BODY ? 'max-buffer-size' : 'Cannot mkdir: /etc/passwd')),
    );
    await expect(new SpoolMode(new LogWatch().logger).create(BODY, send)).rejects.toThrow(/^Cannot mkdir/);
  });

  it('passes on an error of the second request', async () => {
    const send = jest.fn((body: EngineContainerCreate) =>
      Promise.reject(body === BODY ? refusal(400, 'first') : refusal(409, 'name is taken')),
    );
    await expect(new SpoolMode(new LogWatch().logger).create(BODY, send)).rejects.toThrow(/name is taken/);
  });

  it.each([
    { desc: 'another status', body: BODY, status: 409 },
    {
      desc: 'the refusal of a request without a log configuration',
      body: { ...BODY, HostConfig: {} },
      status: 400,
    },
  ])('does not retry after $desc', async ({ body, status }) => {
    const send = jest.fn(() => Promise.reject(refusal(status, 'no')));
    await expect(new SpoolMode(new LogWatch().logger).create(body, send)).rejects.toThrow(/no/);
    expect(send).toHaveBeenCalledTimes(1);
  });
});
