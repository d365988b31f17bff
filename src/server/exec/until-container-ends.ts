import { hasStatus } from '../../docker/errors';
import { isInContainer } from '../../node/cgroup';
import { sharedAbortController, withDeadline } from '../../lib/async/deadline';
import { failedPrecondition, type RuntimeError } from '../../lib/errors';
import { toEngineState } from '../../translate/shared/engine-facts';
import { mayRun } from '../../store/states';
import type { Services } from '../services';

/** The Engine ends the streams of a container's commands within this time after the container's end, or never. */
const CONTAINER_END_GRACE_MS = 500;
/** A limit for one inspect, which takes a healthy Engine milliseconds. */
const INSPECT_MS = 5_000;

/**
 * Returns a signal that follows `signal`, and also fires when the container has ended. Engines (at least 20.10) may forget a
 * command that ends together with its container. Such an Engine neither ends the command's stream nor knows its exit code.
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
 * Looks once whether the container's first process has ended, and calls `onDeath` if so. Engines (at least 28.5) do not
 * report that a container has ended while nobody reads the output of one of its commands.
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
 * Returns whether a started command failed because its container ended. Engines forget such a command and answer 404. Engine
 * 20.10 answers 500 if the container ends at the same moment. A 500 can mean anything, so the container is inspected then.
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

/** Returns whether the Engine says that a container does not run; false if the Engine does not answer. */
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

export function containerEnded(containerId: string): RuntimeError {
  return failedPrecondition(`container ${containerId} ended while the command ran in it`);
}
