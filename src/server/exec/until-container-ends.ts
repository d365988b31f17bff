import { hasStatus } from '../../docker/errors';
import { isInContainer } from '../../node/cgroup';
import { sharedAbortController, withDeadline } from '../../lib/async/deadline';
import { failedPrecondition, type RuntimeError } from '../../lib/errors';
import { toEngineState } from '../../translate/shared/engine-facts';
import { mayRun } from '../../store/states';
import type { Services } from '../services';

/**
 * If the Engine ends the streams of a container's commands, it does so within this time after the container's end.
 */
const CONTAINER_END_GRACE_MS = 500;
/** Limit of one inspect, which takes a healthy Engine milliseconds. */
const INSPECT_MS = 5_000;

/**
 * Returns a signal that follows `signal` and also fires CONTAINER_END_GRACE_MS after the container has ended. Engine 20.10,
 * and perhaps others, may forget a command that ends together with its container. Then the Engine neither ends the
 * command's stream nor knows its exit code.
 * @param onEnd called as soon as the container has ended.
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
    .waitFor(containerId, (container) => !mayRun(container), released.signal)
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
 * Checks once whether the container's first process has ended, and calls `onDeath` if so. Engine 28.5, and perhaps others,
 * does not report the end of a container while the output of one of its commands is not read. Does nothing for a remote
 * Engine.
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
 * Whether a started command failed because its container ended. Engines forget such a command and answer 404. Engine
 * 20.10 answers 500 if the container ends at the same moment. Since 500 may mean anything, the container is then
 * inspected.
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

/** Whether the Engine reports that a container is not running or does not exist; false if the Engine does not answer. */
export async function hasEnded(
  { docker }: Pick<Services, 'docker'>,
  containerId: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const { State } = await withDeadline('inspect', INSPECT_MS, signal, (limit) =>
      docker.inspectContainer(containerId, { signal: limit }),
    );
    return !mayRun({ state: toEngineState(State.Status) });
  } catch (failure) {
    return hasStatus(failure, 404);
  }
}

/** Makes the error of a command that was running, or could not start, when its container ended. */
export function containerEnded(containerId: string): RuntimeError {
  return failedPrecondition(`container ${containerId} ended before its command could finish`);
}
