import type { DockerClient } from '../../docker/client';
import { internal } from '../../lib/errors';
import { pause } from '../../lib/pause';

/** An exec whose output has ended may run on with its streams closed: asked again at growing intervals, ms. */
const POLL_MS = [20, 50, 100, 200, 500, 1000];

/** The exit code of an exec whose output has ended. */
export async function exitCodeOf(docker: DockerClient, execId: string, signal: AbortSignal): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const exec = await docker.inspectExec(execId, { signal });
    if (!exec.Running) {
      if (exec.ExitCode === null) throw internal('the Engine reports an ended command without an exit code');
      return exec.ExitCode;
    }
    await pause(POLL_MS[Math.min(attempt, POLL_MS.length - 1)] ?? 1000, signal);
    signal.throwIfAborted();
  }
}
