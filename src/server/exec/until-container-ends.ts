import { hasStatus } from '../../docker/errors';
import { isInContainer } from '../../node/cgroup/members';
import { sharedAbortController, withDeadline } from '../../lib/async/deadline';
import { failedPrecondition, type RuntimeError } from '../../lib/errors';
import { toEngineState } from '../../translate/shared/engine-facts';
import { isRunning } from '../../store/states';
import type { Services } from '../services';

/** When a container has ended, the Engine ends the streams of its commands within this time, or never. */
const CONTAINER_END_GRACE_MS = 500;
/** A healthy Engine inspects in milliseconds. */
const INSPECT_MS = 5_000;

/**
 * A signal that follows `signal`, and fires when the container has ended: Engines (20.10 at least) may forget a command
 * that ends together with its container, and then neither end its stream nor know its exit code.
 * @param onEnd called at once when the container has ended.
 */
export function untilContainerEnds(
  { store }: Pick<Services, 'store'>,
  containerId: string,
  signal: AbortSignal,
  onEnd: () => void = () => undefined,
): { readonly signal: AbortSignal; release(): void } {
  const until = sharedAbortController();
  const released = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const fire = (): void => until.abort(containerEnded(containerId));
  const onSignal = (): void => until.abort(signal.reason);
  signal.addEventListener('abort', onSignal, { once: true });
  if (signal.aborted) onSignal();
  store.containers
    .waitFor(containerId, (container) => !isRunning(container), released.signal)
    .then(
      () => {
        if (released.signal.aborted) return;
        onEnd();
        timer = setTimeout(fire, CONTAINER_END_GRACE_MS);
      },
      () => undefined,
    );
  return {
    signal: until.signal,
    release: () => {
      released.abort();
      clearTimeout(timer);
      signal.removeEventListener('abort', onSignal);
    },
  };
}

/**
 * Calls `onDeath` when the container's first process has ended. Engines (28.5 at least) do not report the end while the
 * output of one of the container's commands is not read.
 */
export async function lookForDeath(
  { store, settings }: Pick<Services, 'store' | 'settings'>,
  containerId: string,
  onDeath: () => void,
): Promise<void> {
  const pid = store.containers.get(containerId)?.pid ?? 0;
  if (settings.localEngine && (pid === 0 || !(await isInContainer(pid, containerId)))) onDeath();
}

/**
 * Whether a started command failed because its container ended. Engines forget such a command (404). 20.10 answers 500 if
 * the container ends at the same moment; that can mean anything, so the container is inspected.
 */
export async function failedByEnd(
  { docker }: Pick<Services, 'docker'>,
  containerId: string,
  error: unknown,
  signal: AbortSignal,
): Promise<boolean> {
  return (
    hasStatus(error, 404) || (hasStatus(error, 500) && (await hasEnded({ docker }, containerId, signal)))
  );
}

/** Whether the Engine says that a container does not run; false if it does not answer. */
export async function hasEnded(
  { docker }: Pick<Services, 'docker'>,
  containerId: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const { State } = await withDeadline('inspect', INSPECT_MS, signal, (limit) =>
      docker.inspectContainer(containerId, { signal: limit }),
    );
    return !isRunning({ state: toEngineState(State.Status) });
  } catch (failure) {
    return hasStatus(failure, 404);
  }
}

export function containerEnded(containerId: string): RuntimeError {
  return failedPrecondition(`container ${containerId} ended while the command ran in it`);
}
