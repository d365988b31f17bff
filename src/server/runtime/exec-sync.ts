import { invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { integer, nonEmpty, withoutNul } from '../../translate/validate';
import { runCommand } from '../exec/run-command';
import { getRunningContainer } from '../lookup';
import type { CallContext, Services } from '../services';

/** Two weeks in seconds: the longest that a timer can be set to is a little more. */
const MAX_TIMEOUT_SECONDS = 14 * 24 * 3600;

/**
 * Runs a command to its end: three Engine calls. A non-zero exit is not an error; a command that outlives `timeout`
 * (seconds, 0 = none) is killed with all its children, and the answer is DEADLINE_EXCEEDED.
 */
export async function execSync(
  services: Services,
  request: Decoded<cri.IExecSyncRequest>,
  { signal }: CallContext,
): Promise<cri.IExecSyncResponse> {
  if (request.cmd.length === 0) throw invalidArgument('cmd', 'is required');
  nonEmpty(request.cmd[0] ?? '', 'cmd[0]');
  request.cmd.forEach((word, index) => withoutNul(word, `cmd[${index}]`));
  const timeoutSeconds = integer(request.timeout, 'timeout', 0, MAX_TIMEOUT_SECONDS);
  const container = getRunningContainer(services.store, request.container_id);
  const { stdout, stderr, exitCode } = await runCommand(
    services,
    container.id,
    request.cmd,
    timeoutSeconds,
    signal,
  );
  return { stdout, stderr, exit_code: exitCode };
}
