import type { cri, Decoded } from '../../proto';
import { integer } from '../../translate/shared/validate';
import { commandWords } from '../exec/command';
import { runCommand } from '../exec/run-command';
import { getRunningContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** Two weeks in seconds; a timer cannot be set to much more. */
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
  const command = commandWords(request.cmd);
  const timeoutSeconds = integer(request.timeout, 'timeout', 0, MAX_TIMEOUT_SECONDS);
  const container = getRunningContainer(services.store, request.container_id);
  const { stdout, stderr, exitCode } = await runCommand(
    services,
    container.id,
    command,
    timeoutSeconds,
    signal,
  );
  return { stdout, stderr, exit_code: exitCode };
}
