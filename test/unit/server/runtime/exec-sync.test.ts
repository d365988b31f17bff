import { PassThrough, type Duplex } from 'node:stream';
import type { DockerClient } from '../../../../src/docker/client';
import { EngineError } from '../../../../src/docker/errors';
import { deadlineExceeded, unavailable } from '../../../../src/lib/errors';
import { silentLogger } from '../../../../src/lib/logger';
import { OutputBudget } from '../../../../src/server/exec/captured-output';
import { runCommand } from '../../../../src/server/runtime/exec-sync';
import type { StartedCommands } from '../../../../src/server/exec/started-commands';
import type { HandlerSettings } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
import { engineFrame } from '../../support/engine-frame';
import { containerRecord } from '../../support/records';
import { containerInspect, EXITED_STATE } from '../../sync/support/room';

const RUNNING = containerRecord({ state: 'running' });
const NOT_STARTED = { ID: 'e', Running: false, ExitCode: null, Pid: 0 };
const RUNS = { ID: 'e', Running: true, ExitCode: null, Pid: 4711 };
const ENDED = { ID: 'e', Running: false, ExitCode: 0, Pid: 4711 };

interface Room {
  readonly run: (timeoutSeconds?: number) => ReturnType<typeof runCommand>;
  readonly stream: Duplex;
  readonly inspects: () => number;
}

/** An Engine that answers inspects with these values in turn. The last one repeats. */
function room(
  methods: Partial<DockerClient>,
  ...answers: (typeof RUNS | typeof ENDED | typeof NOT_STARTED)[]
): Room {
  const store = new WritableStore();
  store.containers.put(RUNNING);
  const stream = new PassThrough();
  let inspects = 0;
  const docker = fakeDocker({
    createExec: () => Promise.resolve('e'),
    startExec: () => Promise.resolve(stream),
    inspectExec: () => Promise.resolve(answers[Math.min(inspects++, answers.length - 1)]!),
    ...methods,
  });
  const parts = {
    docker,
    store,
    logger: silentLogger,
    // The processes of a fake cannot be looked up on this machine.
    settings: { localEngine: false } as HandlerSettings,
    outputBudget: new OutputBudget(),
    startedCommands: { left: [], note: () => () => undefined } as unknown as StartedCommands,
  };
  const { signal } = new AbortController();
  return {
    run: (timeoutSeconds = 0) => runCommand(parts, RUNNING.id, ['probe'], timeoutSeconds, signal),
    stream,
    inspects: () => inspects,
  };
}

describe('the timeout of ExecSync', () => {
  it('applies to a command that has run that long', async () => {
    const { run, stream } = room({}, RUNS);
    await expect(run(0.05)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: 'command "probe" timed out after 0.05 s',
    });
    expect(stream.destroyed).toBe(true);
  });

  it.each(['createExec', 'startExec'] as const)('does not apply to a slow %s', async (slow) => {
    const { run } = room(
      { [slow]: () => Promise.reject(deadlineExceeded('the Engine took longer')) },
      NOT_STARTED,
    );
    await expect(run(0.01)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('begins when the command does', async () => {
    const { run, stream } = room({}, NOT_STARTED, NOT_STARTED, RUNS, ENDED);
    const result = run(1);
    stream.write(engineFrame(1, 'ok'));
    expect(await result).toMatchObject({ exitCode: 0, stdout: Buffer.from('ok') });
  });

  it('does not apply to a command that has ended and whose output another process holds', async () => {
    const { run, stream } = room({}, ENDED);
    stream.write(engineFrame(1, 'ok\n'));
    const { exitCode, stdout } = await run(0.05);
    expect([exitCode, stdout.toString()]).toEqual([0, 'ok\n']);
    expect(stream.destroyed).toBe(true);
  });
});

describe('a connection that breaks', () => {
  it('inside a frame causes an error', async () => {
    const { run, stream } = room({}, ENDED);
    stream.end(engineFrame(1, 'lost').subarray(0, 10));
    await expect(run()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('before the command has started causes an error', async () => {
    const { run, stream } = room({}, NOT_STARTED, ENDED);
    stream.end();
    await expect(run()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('because the Engine is gone causes an error, too', async () => {
    const gone = (): Promise<never> => Promise.reject(unavailable('ECONNREFUSED'));
    const { run, stream } = room({ inspectExec: gone });
    stream.end(engineFrame(1, 'lost'));
    await expect(run()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('a command that the Engine could not start', () => {
  const ABSENT = { ID: 'e', Running: false, ExitCode: 126, Pid: 0 };

  it('because its container ended has no exit code', async () => {
    const ended = containerInspect({ state: EXITED_STATE });
    const { run, stream } = room({ inspectContainer: () => Promise.resolve(ended) }, ABSENT);
    stream.end(engineFrame(1, 'cannot exec in a stopped state: unknown'));
    await expect(run()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('for another reason has the exit code of the Engine', async () => {
    const { run, stream } = room({ inspectContainer: () => Promise.resolve(containerInspect()) }, ABSENT);
    stream.end(engineFrame(1, 'no such file or directory'));
    expect(await run()).toMatchObject({ exitCode: 126 });
  });
});

describe('a refused start', () => {
  it('is answered at once, because there is no process to kill', async () => {
    const refuse = (): Promise<never> =>
      Promise.reject(new EngineError('FAILED_PRECONDITION', 409, 'is paused'));
    const { run, inspects } = room({ startExec: refuse }, NOT_STARTED);
    await expect(run()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(inspects()).toBe(0);
  });

  it.each([
    {
      desc: 'that has ended',
      state: EXITED_STATE,
      code: 'FAILED_PRECONDITION',
      message: /ended before its command/,
    },
    { desc: 'that runs', state: {}, code: 'UNKNOWN', message: /^no such luck$/ },
  ])(
    'with the status 500 of Engine 20.10, in a container $desc, is answered with $code',
    async ({ state, code, message }) => {
      const { run, inspects } = room(
        {
          startExec: () => Promise.reject(new EngineError('UNKNOWN', 500, 'no such luck')),
          inspectContainer: () => Promise.resolve(containerInspect({ state })),
        },
        NOT_STARTED,
      );
      await expect(run()).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
      expect(inspects()).toBe(0);
    },
  );

  it('with the status 500 of Engine 20.10, in a container that is gone, is answered with FAILED_PRECONDITION', async () => {
    const { run } = room({
      startExec: () => Promise.reject(new EngineError('UNKNOWN', 500, 'is not running')),
      inspectContainer: () => Promise.reject(new EngineError('NOT_FOUND', 404, 'No such container')),
    });
    await expect(run()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });
});
