import { EngineError } from '../../../../src/docker/errors';
import { unavailable } from '../../../../src/lib/errors';
import { silentLogger } from '../../../../src/lib/logger';
import { endLeftCommands, killCommand } from '../../../../src/server/exec/kill-command';
import type { StartedCommands } from '../../../../src/server/exec/started-commands';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';

const ENDED = { ID: 'e', Running: false, ExitCode: 137, Pid: 4711 };
const NOT_STARTED = { ID: 'e', Running: false, ExitCode: null, Pid: 0 };
const COMMAND = { containerId: 'c', execId: 'e' };

/** An Engine that answers inspects with these values in turn. */
function room(...answers: (typeof ENDED | typeof NOT_STARTED | Error)[]) {
  let inspects = 0;
  const docker = fakeDocker({
    inspectExec: () => {
      const answer = answers[inspects++] ?? new Error('one question too many');
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  });
  const forget = jest.fn();
  const parts = { docker, store: new WritableStore(), logger: silentLogger, settings: { localEngine: true } };
  return { parts, forget, inspects: () => inspects };
}

describe('the kill of an abandoned command', () => {
  it('is retried when the Engine does not report the command', async () => {
    const { parts, forget, inspects } = room(
      unavailable('ECONNRESET'),
      new EngineError('UNKNOWN', 500, 'busy'),
      NOT_STARTED,
      ENDED,
    );
    await killCommand(parts, { ...COMMAND, forget });
    expect(forget).toHaveBeenCalledTimes(1);
    expect(inspects()).toBe(4);
  });

  it('is over when the Engine does not know the command', async () => {
    const { parts, forget } = room(new EngineError('NOT_FOUND', 404, 'no such exec'));
    await killCommand(parts, { ...COMMAND, forget });
    expect(forget).toHaveBeenCalledTimes(1);
  });

  it('is also retried for a command of an earlier daemon', async () => {
    const { parts, forget } = room(unavailable('ECONNRESET'), ENDED);
    const startedCommands = { left: [COMMAND], note: () => forget } as unknown as StartedCommands;
    await endLeftCommands({ ...parts, startedCommands });
    expect(forget).toHaveBeenCalledTimes(1);
  });

  it('continues while the Engine does not answer, without delaying the caller', async () => {
    jest.useFakeTimers();
    const { parts, forget } = room(...Array.from({ length: 7 }, () => unavailable('ECONNREFUSED')), ENDED);
    const answered = killCommand(parts, { ...COMMAND, forget });
    await jest.advanceTimersByTimeAsync(2_000);
    await answered;
    expect(forget).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(forget).toHaveBeenCalledTimes(1);
    jest.useRealTimers();
  });
});
