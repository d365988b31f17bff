import {
  commandWords,
  connectionBroke,
  exitCodeOf,
  wantedStreams,
} from '../../../../src/server/exec/command';
import { fakeDocker } from '../../../fakes/fake-docker';
import { rejectionOf, thrownBy } from '../../support/errors';

const mockMembers = new Set<number>();
const mockHolding = new Set<number>();
jest.mock('../../../../src/node/cgroup', () => ({
  ...jest.requireActual<object>('../../../../src/node/cgroup'),
  isInContainer: (pid: number, id: string) => Promise.resolve(id === 'c' && mockMembers.has(pid)),
}));
jest.mock('../../../../src/node/process/process-info', () => ({
  ...jest.requireActual<object>('../../../../src/node/process/process-info'),
  holdsOutput: (pid: number) => Promise.resolve(mockHolding.has(pid)),
}));

interface Told {
  readonly ID: string;
  readonly Running: boolean;
  readonly Pid: number;
  readonly ExitCode: number | null;
}
const RUNNING: Told = { ID: 'e', Running: true, Pid: 7, ExitCode: null };
const exited = (ExitCode: number | null, Pid = 7): Told => ({ ID: 'e', Running: false, Pid, ExitCode });

describe('a command', () => {
  it('requires a program, and accepts empty arguments but no NUL', () => {
    expect(commandWords(['sh', '', 'x'])).toEqual(['sh', '', 'x']);
    expect(thrownBy(() => commandWords([]))).toBe('INVALID_ARGUMENT cmd: is required');
    expect(thrownBy(() => commandWords(['', 'x']))).toMatch(/^INVALID_ARGUMENT cmd\[0\]: /);
    expect(thrownBy(() => commandWords(['sh', 'x', 'a\0']))).toMatch(/^INVALID_ARGUMENT cmd\[2\]: /);
  });

  it('has at least one stream, and no stderr with a terminal', () => {
    const all = { stdin: true, stdout: true, stderr: true, tty: false };
    expect(wantedStreams({ ...all, more: 1 } as typeof all)).toEqual(all);
    const none = { stdin: false, stdout: false, stderr: false };
    for (const name of ['stdin', 'stdout', 'stderr']) {
      const wanted = { ...none, [name]: true, tty: false };
      expect(wantedStreams(wanted)).toEqual(wanted);
    }
    expect(wantedStreams({ ...all, stderr: false, tty: true })).toEqual({ ...all, stderr: false, tty: true });
    expect(thrownBy(() => wantedStreams({ ...all, tty: true }))).toMatch(/^INVALID_ARGUMENT stderr: /);
    expect(thrownBy(() => wantedStreams({ ...none, tty: true }))).toMatch(/^INVALID_ARGUMENT stdin: /);
  });
});

describe('the exit code of a command whose output has ended', () => {
  let inspects: string[];
  let state: string;
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    mockMembers.clear();
    mockHolding.clear();
    [inspects, state] = [[], 'running'];
  });
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  function ask(answers: Told[], localEngine = true, signal = new AbortController().signal): Promise<number> {
    const docker = fakeDocker({
      inspectExec: (id, options) => {
        inspects.push(`exec ${id} ${options?.signal === signal}`);
        return Promise.resolve(answers.length > 1 ? answers.shift()! : answers[0]!);
      },
      inspectContainer: (id) => {
        inspects.push(`container ${id}`);
        return Promise.resolve({ State: { Status: state } } as never);
      },
    });
    const code = exitCodeOf({ docker, settings: { localEngine } } as never, 'c', 'e', signal);
    code.catch(() => undefined);
    return code;
  }

  it.each([0, 7, 137])("is the Engine's: %d", async (code) => {
    expect(await ask([exited(code)])).toBe(code);
    expect(inspects).toEqual(['exec e true']);
  });

  it('is missing if the connection broke before the Engine had a code', async () => {
    expect(await rejectionOf(ask([exited(null)]))).toBe(`UNAVAILABLE ${connectionBroke().message}`);
  });

  it('is replaced by an error only if it is not 0, the command never started and its container has ended', async () => {
    expect(await ask([exited(127, 0)])).toBe(127);
    expect(inspects).toEqual(['exec e true', 'container c']);
    inspects.length = 0;
    state = 'exited';
    expect(await rejectionOf(ask([exited(127, 0)]))).toMatch(/^FAILED_PRECONDITION container c ended/);
    expect(await ask([exited(0, 0)])).toBe(0);
    expect(await ask([exited(127)])).toBe(127);
    expect(inspects).toEqual(['exec e true', 'container c', 'exec e true', 'exec e true']);
  });

  it('is requested at growing intervals while the command runs on with closed outputs', async () => {
    mockMembers.add(7);
    const answers = [...Array<Told>(8).fill(RUNNING), exited(3)];
    const code = ask(answers);
    for (const [at, ms] of [20, 50, 100, 200, 500, 1_000, 1_000, 1_000].entries()) {
      await jest.advanceTimersByTimeAsync(ms - 1);
      expect(inspects).toHaveLength(at + 1);
      await jest.advanceTimersByTimeAsync(1);
    }
    expect(await code).toBe(3);
  });

  it('is missing if the command still holds its outputs, because then the connection was cut', async () => {
    mockMembers.add(7);
    mockHolding.add(7);
    expect(await rejectionOf(ask([RUNNING]))).toMatch(/^UNAVAILABLE the connection .* was cut/);
  });

  it.each<[string, Told, boolean, number[]]>([
    ['that has not started yet', { ...RUNNING, Pid: 0 }, true, [0, 7]],
    ['on another machine', RUNNING, false, [7]],
    ['whose pid belongs to another process by now', RUNNING, true, []],
  ])(
    'is waited for, and not reported as missing, for a command %s',
    async (_, told, localEngine, members) => {
      for (const pid of members) mockMembers.add(pid);
      mockHolding.add(7).add(0);
      const code = ask([told, exited(5)], localEngine);
      await jest.advanceTimersByTimeAsync(20);
      expect(await code).toBe(5);
    },
  );

  it('is no longer requested when the call ends', async () => {
    const call = new AbortController();
    const code = ask([RUNNING], true, call.signal);
    await jest.advanceTimersByTimeAsync(10);
    call.abort(new Error('cancelled'));
    await expect(code).rejects.toThrow('cancelled');
    expect(inspects).toHaveLength(1);
  });
});
