import { getEventListeners } from 'node:events';
import type { Stats } from 'node:fs';
import fsPromises, { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { WritableStore } from '../../../src/store/store';
import { FactsReader, type FactsReaderParts } from '../../../src/sync/facts-reader';
import type { EngineInfo } from '../../../src/engine/types';
import type { EngineFacts } from '../../../src/store/records';
import { toFacts } from '../../../src/translate/shared/engine-facts';
import { fakeDocker } from '../../fakes/fake-docker';
import { gate, settle, type Gate } from '../support/async';

const VERSION = { Version: '20.10.24', ApiVersion: '1.41', Os: 'linux', Arch: 'amd64' };
const INFO: EngineInfo = {
  ...{
    DockerRootDir: '/var/lib/docker',
    CgroupDriver: 'systemd',
    Driver: 'overlay2',
    Runtimes: { runc: {} },
  },
  ...{ DefaultRuntime: 'runc', OperatingSystem: 'Debian', KernelVersion: '6.1.0-13-amd64' },
};
const ASK_BESIDE = 1_000;

interface Question {
  readonly signal: AbortSignal;
  readonly answer: Gate<EngineInfo>;
}

describe("the question for the Engine's facts", () => {
  let questions: Question[];
  let facts: FactsReader;
  let waiting: AbortController;
  let stopped: AbortController;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    questions = [];
    [waiting, stopped] = [new AbortController(), new AbortController()];
    const docker = fakeDocker({
      info: (options) => {
        const question = { signal: options!.signal!, answer: gate<EngineInfo>() };
        questions.push(question);
        return question.answer.promise;
      },
    });
    facts = new FactsReader(
      { docker, store: new WritableStore(), logger: silentLogger, localEngine: false },
      { askBeside: ASK_BESIDE, recallAfter: 10 * ASK_BESIDE },
    );
  });
  afterEach(() => {
    stopped.abort(new Error('the end'));
    jest.useRealTimers();
  });

  const read = () => facts.read(VERSION, waiting.signal, stopped.signal);
  const answered = async (question: Question | undefined): Promise<void> => {
    question!.answer.resolve(INFO);
    await settle();
  };

  async function isAskedAfter(ms: number): Promise<void> {
    const before = questions.length;
    await jest.advanceTimersByTimeAsync(ms - 1);
    expect(questions).toHaveLength(before);
    await jest.advanceTimersByTimeAsync(1);
    expect(questions).toHaveLength(before + 1);
  }

  it('is repeated at growing intervals until it is answered, and the next one starts with the shortest interval', async () => {
    const { usable } = read();
    expect(questions).toHaveLength(1);
    for (const factor of [1, 4, 16]) await isAskedAfter(factor * ASK_BESIDE);
    await answered(questions[1]);
    await usable;
    const again = facts.readAgain(waiting.signal);
    await settle();
    expect(questions).toHaveLength(5);
    for (const factor of [1, 4]) await isAskedAfter(factor * ASK_BESIDE);
    await answered(questions[6]);
    await again;
  });

  it('leaves no timer, listener or open call behind once it is answered', async () => {
    const { usable, learned } = read();
    await isAskedAfter(ASK_BESIDE);
    await answered(questions[0]);
    await Promise.all([usable, learned]);
    // The timer after which earlier facts would be used runs to its end.
    await jest.advanceTimersByTimeAsync(10 * ASK_BESIDE);
    expect(jest.getTimerCount()).toBe(0);
    expect(getEventListeners(stopped.signal, 'abort')).toEqual([]);
    expect(getEventListeners(waiting.signal, 'abort')).toEqual([]);
    expect(questions.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  });
});

describe('the known facts about the Engine', () => {
  const OLD = toFacts(VERSION, { ...INFO, Runtimes: { old: {} } });
  const FACTS = toFacts(VERSION, INFO);
  let store: WritableStore;
  let told: unknown[];
  let answers: Gate<EngineInfo>[];
  let recall: jest.Mock<Promise<EngineFacts | undefined>, []>;
  let keep: jest.Mock<Promise<void>, [EngineFacts]>;
  let waiting: AbortController;
  let stopped: AbortController;
  let facts: FactsReader;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    [told, answers, store] = [[], [], new WritableStore()];
    [waiting, stopped] = [new AbortController(), new AbortController()];
    recall = jest.fn<Promise<EngineFacts | undefined>, []>(() => Promise.resolve(undefined));
    keep = jest.fn<Promise<void>, [EngineFacts]>(() => Promise.resolve());
    facts = reader();
  });
  afterEach(() => {
    stopped.abort(new Error('the end'));
    jest.useRealTimers();
  });

  function reader(over: Partial<FactsReaderParts> = {}, hasMemory = true): FactsReader {
    const docker = {
      info: () => {
        const answer = gate<EngineInfo>();
        answers.push(answer);
        return answer.promise;
      },
    };
    const logger = { ...silentLogger, warn: (...line: unknown[]) => void told.push(line) };
    return new FactsReader(
      {
        docker,
        store,
        logger,
        localEngine: false,
        ...(hasMemory ? { factsMemory: { recall, keep } } : {}),
        ...over,
      },
      { askBeside: ASK_BESIDE, recallAfter: 300 },
    );
  }
  const read = (version = VERSION) => facts.read(version, waiting.signal, stopped.signal);
  const isDone = async (promise: Promise<unknown>): Promise<boolean> => {
    let done = false;
    promise.then(
      () => (done = true),
      () => (done = true),
    );
    await settle();
    return done;
  };
  const OLD_ANSWER = 'Docker Engine does not answer /info; using its earlier answer';

  it('are its version at once, and the rest as soon as the Engine answers', async () => {
    const { usable, learned } = read();
    expect([store.engineVersion, store.engine]).toEqual(['20.10.24', undefined]);
    expect(await isDone(usable)).toBe(false);
    answers[0]?.resolve(INFO);
    await usable;
    expect(await learned).toEqual(FACTS);
    expect([store.engine, store.isEngineRecalled]).toEqual([FACTS, false]);
    expect(keep.mock.calls).toEqual([[FACTS]]);
    expect([told, recall.mock.calls]).toEqual([[], []]);
  });

  it.each([
    ['the same version', VERSION, true],
    ['another version', { ...VERSION, Version: '28.5.2' }, false],
    ['another API', { ...VERSION, ApiVersion: '1.40' }, false],
  ])(
    'are used for the next connection only if the version and the API are the same: %s',
    async (_, version, serves) => {
      store.engine = FACTS;
      const { usable, learned } = read(version);
      expect(await isDone(usable)).toBe(serves);
      answers[0]?.reject(new Error('not now'));
      await settle();
      expect(told).toEqual(serves ? [[OLD_ANSWER, { error: 'not now' }]] : []);
      expect(await isDone(learned)).toBe(false);
    },
  );

  it('are not reported missing when the question ends with the daemon', async () => {
    store.engine = FACTS;
    read();
    stopped.abort(new Error('the end'));
    answers[0]?.reject(new Error('the end'));
    await settle();
    expect(told).toEqual([]);
  });

  it('are those of an earlier process if the Engine is slow', async () => {
    recall.mockResolvedValue(OLD);
    const { usable, learned } = read();
    await jest.advanceTimersByTimeAsync(299);
    expect(recall).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(1);
    await usable;
    expect([store.engine, store.isEngineRecalled]).toEqual([OLD, true]);
    expect(told).toEqual([[OLD_ANSWER, { error: '/info has not answered within 300 ms' }]]);
    answers[0]?.resolve(INFO);
    await learned;
    expect([store.engine, store.isEngineRecalled]).toEqual([FACTS, false]);
  });

  it('are those of an earlier process if the Engine fails, and the reason is reported', async () => {
    recall.mockResolvedValue(OLD);
    const { usable } = read();
    answers[0]?.reject(new Error('broken'));
    await usable;
    expect(store.engine).toEqual(OLD);
    expect(told).toEqual([[OLD_ANSWER, { error: 'broken' }]]);
  });

  it.each<[string, () => Promise<EngineFacts | undefined>]>([
    ['belong to another version', () => Promise.resolve({ ...OLD, engineVersion: '19' })],
    ['belong to another API', () => Promise.resolve({ ...OLD, apiVersion: '1.40' })],
    ['do not exist', () => Promise.resolve(undefined)],
    ['cannot be read', () => Promise.reject(new Error('EIO'))],
  ])('are not those of an earlier process if they %s', async (_, answer) => {
    recall.mockImplementation(answer);
    const { usable } = read();
    await jest.advanceTimersByTimeAsync(300);
    expect([await isDone(usable), store.engine, told]).toEqual([false, undefined, []]);
    answers[0]?.resolve(INFO);
    await usable;
    expect([store.engine, store.isEngineRecalled]).toEqual([FACTS, false]);
  });

  it('are missing, with the error of the Engine, if no earlier ones are known', async () => {
    const { usable } = read();
    answers[0]?.reject(new Error('broken'));
    await expect(usable).rejects.toThrow('broken');
    expect(told).toEqual([]);
  });

  it('are not awaited any more by a connection that is lost', async () => {
    recall.mockResolvedValue(OLD);
    const { usable } = read();
    waiting.abort(new Error('lost'));
    await expect(usable).rejects.toThrow('lost');
    expect([store.engine, store.isEngineRecalled]).toEqual([undefined, false]);
    const again = facts.read(VERSION, new AbortController().signal, stopped.signal);
    // The question outlives the connection.
    expect(answers).toHaveLength(1);
    answers[0]?.resolve(INFO);
    await again.usable;
    expect(await again.learned).toEqual(FACTS);
  });

  it('are awaited for at most two seconds from a slow disk', async () => {
    recall.mockReturnValue(gate<EngineFacts>().promise);
    const { usable } = read();
    await jest.advanceTimersByTimeAsync(300);
    answers[0]?.reject(new Error('broken'));
    await jest.advanceTimersByTimeAsync(1_999);
    expect(await isDone(usable)).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await expect(usable).rejects.toThrow('broken');
  });

  it('are not read from a slow disk once the Engine has answered', async () => {
    recall.mockReturnValue(gate<EngineFacts>().promise);
    const { usable } = read();
    await jest.advanceTimersByTimeAsync(300);
    expect(recall).toHaveBeenCalledTimes(1);
    answers[0]?.resolve(INFO);
    expect([await isDone(usable), store.engine]).toEqual([true, FACTS]);
  });

  it('are used even if they cannot or need not be stored', async () => {
    keep.mockRejectedValue(new Error('EROFS'));
    const first = read();
    answers[0]?.resolve(INFO);
    await first.usable;
    facts = reader({}, false);
    store.engine = undefined;
    const { usable } = read();
    await jest.advanceTimersByTimeAsync(300);
    answers[1]?.resolve(INFO);
    await usable;
    expect([store.engine, told]).toEqual([FACTS, []]);
  });

  it('include the directory of the images if the Engine is on this machine', async () => {
    jest.useRealTimers();
    const root = await mkdtemp(join(tmpdir(), 'dockbridge-facts-'));
    try {
      await mkdir(join(root, 'overlay2'));
      facts = reader({ localEngine: true });
      const { usable } = read();
      answers[0]?.resolve({ ...INFO, DockerRootDir: root });
      await usable;
      expect(store.engine).toEqual({ ...FACTS, rootDir: root, imageDirectory: join(root, 'overlay2') });
    } finally {
      await rm(root, { recursive: true });
    }
  });

  it('are the latest answer, however long the search for the directory of the images takes', async () => {
    const looks = gate<Stats>();
    const stat = jest.spyOn(fsPromises, 'stat').mockImplementation((path) => {
      return String(path).startsWith('/slow') ? looks.promise : Promise.reject(new Error('ENOENT'));
    });
    try {
      facts = reader({ localEngine: true });
      const { learned } = read();
      answers[0]?.resolve({ ...INFO, DockerRootDir: '/slow' });
      await settle();
      const again = facts.readAgain(waiting.signal);
      await settle();
      answers[1]?.resolve({ ...INFO, DockerRootDir: '/quick' });
      await again;
      looks.reject(new Error('ENOENT'));
      await learned;
      await settle();
      expect(store.engine?.rootDir).toBe('/quick');
      expect(keep.mock.calls.map(([{ rootDir }]) => rootDir)).toEqual(['/quick']);
    } finally {
      stat.mockRestore();
    }
  });

  it('cause one log line if the Engine uses userns-remap', async () => {
    const { usable } = read();
    const SecurityOptions = ['name=seccomp', 'name=userns'];
    answers[0]?.resolve({ ...INFO, SecurityOptions: ['name=seccomp'] });
    await usable;
    expect(told).toEqual([]);
    for (const at of [1, 2]) {
      const again = facts.readAgain(waiting.signal);
      await settle();
      answers[at]?.resolve({ ...INFO, SecurityOptions });
      await again;
    }
    expect(told).toEqual([[expect.stringContaining('Docker Engine uses userns-remap')]]);
  });

  it('are read again after the answer under way, and not before a connection', async () => {
    await facts.readAgain(waiting.signal);
    expect(answers).toEqual([]);
    read();
    const again = facts.readAgain(waiting.signal);
    await settle();
    expect(answers).toHaveLength(1);
    answers[0]?.reject(new Error('broken'));
    await settle();
    expect(answers).toHaveLength(2);
    answers[1]?.resolve(INFO);
    await again;
    expect(store.engine).toEqual(FACTS);
    const left = new AbortController();
    const waitingFor = facts.readAgain(left.signal);
    await settle();
    left.abort(new Error('left'));
    await expect(waitingFor).rejects.toThrow('left');
  });

  it('are requested again at a heartbeat only if a question failed some time ago', async () => {
    facts.retry();
    expect(answers).toEqual([]);
    store.engine = FACTS;
    read();
    await jest.advanceTimersByTimeAsync(ASK_BESIDE / 2);
    facts.retry();
    expect(answers).toHaveLength(1);
    answers[0]?.reject(new Error('broken'));
    await settle();
    await jest.advanceTimersByTimeAsync(ASK_BESIDE - 1);
    facts.retry();
    expect(answers).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1);
    facts.retry();
    expect(answers).toHaveLength(2);
    answers[1]?.reject(new Error('broken again'));
    await settle();
    await jest.advanceTimersByTimeAsync(ASK_BESIDE);
    for (let time = 0; time < 2; time++) facts.retry();
    answers[2]?.resolve(INFO);
    await settle();
    // One answer counts once, whoever waits for it.
    expect(keep).toHaveBeenCalledTimes(1);
    await jest.advanceTimersByTimeAsync(10 * ASK_BESIDE);
    facts.retry();
    expect(answers).toHaveLength(3);
  });

  it('count as old from the second question on, which is reported as a problem', async () => {
    expect(facts.trouble).toBeUndefined();
    store.engine = FACTS;
    read();
    await jest.advanceTimersByTimeAsync(ASK_BESIDE - 1);
    expect(facts.trouble).toBeUndefined();
    await jest.advanceTimersByTimeAsync(1);
    expect(facts.trouble).toEqual({
      ...{ isStuck: false, reason: 'DockerInfoHangs' },
      message:
        'Docker Engine has not answered /info for 1 s; dockbridge uses an earlier answer and does not know newer runtimes and settings',
    });
    await jest.advanceTimersByTimeAsync(1_600);
    expect(facts.trouble?.message).toContain('for 3 s');
    answers[0]?.resolve(INFO);
    await settle();
    expect(facts.trouble).toBeUndefined();
    read();
    expect(facts.trouble).toBeUndefined();
  });

  it('are no longer requested when the daemon ends, and all questions end with its reason', async () => {
    const signals: AbortSignal[] = [];
    const docker = {
      info: ({ signal }: { signal?: AbortSignal } = {}) => {
        signals.push(signal!);
        return new Promise<EngineInfo>((_, reject) =>
          signal?.addEventListener('abort', () => reject(signal.reason as Error)),
        );
      },
    };
    facts = reader({ docker });
    const { usable } = read();
    await jest.advanceTimersByTimeAsync(ASK_BESIDE);
    const why = new Error('the end');
    stopped.abort(why);
    await expect(usable).rejects.toThrow('the end');
    expect(signals.map(({ reason }) => reason as unknown)).toEqual([why, why]);
    expect(getEventListeners(stopped.signal, 'abort')).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
  });
});
