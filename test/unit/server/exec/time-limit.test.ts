import { RanTooLong, watchLimit } from '../../../../src/server/runtime/exec-sync';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate, settle, type Gate } from '../../support/async';

/** The age of the command's process in ms; undefined if it has ended. */
let mockAge: number | undefined;
let mockIsMember = true;
jest.mock('../../../../src/node/cgroup', () => ({
  ...jest.requireActual<object>('../../../../src/node/cgroup'),
  isInContainer: (pid: number, id: string) => Promise.resolve(mockIsMember && pid === 7 && id === 'c'),
}));
jest.mock('../../../../src/node/process/process-info', () => ({
  ...jest.requireActual<object>('../../../../src/node/process/process-info'),
  processAgeMs: () => Promise.resolve(mockAge),
}));

interface Told {
  readonly ID: string;
  readonly Running: boolean;
  readonly Pid: number;
  readonly ExitCode: number | null;
}
const RUNNING: Told = { ID: 'e', Running: true, Pid: 7, ExitCode: null };
const NOT_STARTED: Told = { ...RUNNING, Running: false, Pid: 0 };
const EXITED: Told = { ...RUNNING, Running: false, ExitCode: 3 };
const LIMIT_MS = 1_000;

describe('the time limit of a command', () => {
  let told: Told;
  let inspects: number;
  let output: Gate<void>;
  let call: AbortController;
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    [told, inspects, output, call] = [RUNNING, 0, gate(), new AbortController()];
    [mockAge, mockIsMember] = [0, true];
  });
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  /** Returns a function that returns the result, or '' until there is one. */
  function watch(localEngine = true): () => string {
    let end = '';
    const docker = fakeDocker({
      inspectExec: (_, options) => {
        expect(options?.signal).toBeInstanceOf(AbortSignal);
        inspects++;
        return Promise.resolve(told);
      },
    });
    const limited = { containerId: 'c', execId: 'e', limitMs: LIMIT_MS, outputEnd: output.promise };
    watchLimit({ docker, settings: { localEngine } } as never, limited, call.signal).then(
      (code) => (end = `exit ${code}`),
      (error: unknown) => (end = error instanceof RanTooLong ? 'too long' : String(error)),
    );
    return () => end;
  }
  const pass = async (ms: number): Promise<void> => {
    await jest.advanceTimersByTimeAsync(ms);
    await settle();
  };

  it('is not checked before it has passed', async () => {
    const end = watch();
    mockAge = LIMIT_MS;
    await pass(LIMIT_MS - 1);
    expect([inspects, end()]).toEqual([0, '']);
    await pass(1);
    expect([inspects, end()]).toEqual([1, 'too long']);
  });

  it('counts from the start of the process, which may be later', async () => {
    const end = watch();
    mockAge = 400;
    await pass(LIMIT_MS);
    expect(end()).toBe('');
    await pass(599);
    mockAge = LIMIT_MS;
    expect([inspects, end()]).toEqual([1, '']);
    await pass(1);
    expect([inspects, end()]).toEqual([2, 'too long']);
  });

  it('counts from the request if the clock says that the command began earlier or has not begun yet', async () => {
    const end = watch();
    mockAge = -5;
    await pass(LIMIT_MS);
    expect(end()).toBe('too long');
    const other = watch();
    mockAge = 1e9;
    await pass(LIMIT_MS);
    expect(other()).toBe('too long');
  });

  it('counts, on another machine, from the last moment at which the command had not started', async () => {
    told = NOT_STARTED;
    const end = watch(false);
    await pass(LIMIT_MS + 200);
    expect([inspects, end()]).toEqual([3, '']);
    told = RUNNING;
    await pass(100);
    expect([inspects, end()]).toEqual([4, '']);
    await pass(LIMIT_MS - 101);
    expect(end()).toBe('');
    await pass(1);
    expect(end()).toBe('too long');
  });

  it('allows a minute for a command that the Engine does not start', async () => {
    told = NOT_STARTED;
    const end = watch();
    await pass(LIMIT_MS + 60_000);
    expect(end()).toBe('');
    await pass(100);
    expect(end()).toMatch(/has not started the command/);
  });

  it('allows a minute for the Engine to notice the end of a command', async () => {
    mockIsMember = false;
    const end = watch();
    await pass(LIMIT_MS + 60_000);
    expect(end()).toBe('');
    await pass(100);
    expect(end()).toMatch(/has not noticed that the command has ended/);
  });

  it.each(['resolves', 'rejects'])(
    'returns the exit code of a command that has ended when the promise of its output %s',
    async (how) => {
      told = EXITED;
      const end = watch();
      await pass(LIMIT_MS);
      expect(end()).toBe('');
      if (how === 'resolves') output.resolve();
      else output.reject(new Error('broken'));
      await settle();
      expect(end()).toBe('exit 3');
    },
  );

  it('allows three seconds for output that other processes keep open', async () => {
    told = EXITED;
    const end = watch();
    await pass(LIMIT_MS + 2_999);
    expect(end()).toBe('');
    await pass(1);
    expect(end()).toBe('exit 3');
  });

  it.each([
    ['before the limit', RUNNING, 10],
    ['during the wait for output', EXITED, LIMIT_MS + 10],
  ])('ends with the call, %s', async (_, state, ms) => {
    told = state;
    const end = watch();
    await pass(ms);
    call.abort(new Error('cancelled'));
    await settle();
    expect(end()).toBe('Error: cancelled');
  });
});
