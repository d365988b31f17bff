import type { DockerClient } from '../docker/client';
import { EngineError, hasStatus } from '../docker/errors';
import type { EngineContainerCreate } from '../engine/types';
import { forEachLimited } from '../lib/async/concurrency';
import { withDeadline } from '../lib/async/deadline';
import { messageOf, RuntimeError } from '../lib/errors';
import type { ContainerRecord, MountRecord } from '../store/records';
import { isRunning } from '../store/states';
import { explainStartError } from '../translate/container/engine-refusals';
import type { ContainerServices } from './services';

/** Where the container itself is at fault, or what it needs. 404 also says that something it joins is gone. */
const ITS_OWN_FAULT: readonly number[] = [400, 404, 409, 500];
/** The Engine's event of a death comes with the end of the stop call. After this long we ask instead. */
const SETTLE_MS = 1_000;
/** The containers of a sandbox are killed, not asked: kubelet has stopped them gracefully before. */
const NO_GRACE_SECONDS = 0;
const CONCURRENT_STOPS = 16;
const CONCURRENT_REMOVALS = 8;

/**
 * Creates a container of the Engine for a handler that holds its name.
 *
 * A call that is cancelled or cut off may have succeeded in the Engine all the same. Its event was left to us because we
 * hold the name, so look: the store shows what is there, and kubelet's retry or GC deals with it.
 * @returns its id.
 */
export async function createInEngine(
  { docker, life, logger, spoolMode }: Pick<ContainerServices, 'docker' | 'life' | 'logger' | 'spoolMode'>,
  name: string,
  body: EngineContainerCreate,
  signal: AbortSignal,
): Promise<string> {
  try {
    return await spoolMode.create(body, (sent) => docker.createContainer(name, sent, { signal }));
  } catch (error) {
    if (!(error instanceof EngineError)) {
      life.discover(name).catch((failure: unknown) => {
        logger.debug(
          () => 'Cannot check what a failed create call left behind',
          () => ({ name, error: messageOf(failure) }),
        );
      });
    }
    throw error;
  }
}

/** FAILED_PRECONDITION, in words a person can act on. */
export class StartFailure extends RuntimeError {
  constructor(
    readonly engineText: string,
    mounts: readonly MountRecord[],
  ) {
    super('FAILED_PRECONDITION', explainStartError(engineText, mounts));
    this.name = 'StartFailure';
  }
}

/**
 * Starts a container of the Engine.
 * @param mounts what it was asked for, to name the one that is wrong.
 * @throws StartFailure when it is the container that cannot start; the Engine's own error otherwise.
 */
export async function startInEngine(
  docker: DockerClient,
  id: string,
  signal: AbortSignal,
  mounts: readonly MountRecord[] = [],
): Promise<void> {
  try {
    await docker.startContainer(id, { signal });
  } catch (error) {
    if (!(error instanceof EngineError) || !ITS_OWN_FAULT.includes(error.statusCode)) throw error;
    throw new StartFailure(error.message, mounts);
  }
}

/**
 * The record after a start that is under way. It says `created` until then, and a container that starts after its stop
 * would run on in a pod that kubelet believes stopped.
 */
export async function afterStart(
  { life }: Pick<ContainerServices, 'life'>,
  container: ContainerRecord | undefined,
  signal: AbortSignal,
): Promise<ContainerRecord | undefined> {
  if (container?.state !== 'created') return container;
  return life.withContainer(container.id, signal, (held) => Promise.resolve(held.container));
}

/**
 * Stops a container or sandbox.
 * @returns false when it had vanished behind our back: then it is stopped, and its record is up to date.
 */
export async function stopInEngine(
  { docker, life, sessions }: Pick<ContainerServices, 'docker' | 'life' | 'sessions'>,
  id: string,
  graceSeconds: number,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await sessions.hurryDuring(id, () => docker.stopContainer(id, graceSeconds, { signal }));
    return true;
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    await life.refresh(id, signal);
    return false;
  }
}

/** Stops a container and waits until the store knows, from the event or, when that does not come, by asking. */
export async function stopAndSettle(
  services: ContainerServices,
  id: string,
  graceSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  if (!(await stopInEngine(services, id, graceSeconds, signal))) return;
  const { store, life } = services;
  try {
    await withDeadline('The event of a stopped container', SETTLE_MS, signal, (limit) =>
      store.containers.waitFor(id, (record) => !isRunning(record), limit),
    );
  } catch {
    signal.throwIfAborted();
    await life.refresh(id, signal);
  }
}

/** Removes a container or sandbox, running or not, and its record. Absent is success. */
export async function removeFromEngine(
  { docker, life, sessions }: Pick<ContainerServices, 'docker' | 'life' | 'sessions'>,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  await sessions.hurryDuring(id, () => docker.removeContainer(id, { signal }));
  await life.withContainer(id, undefined, (held) => held.forget());
}

/** The same for a sandbox, whose end takes down its network in the Engine. */
export async function removeSandboxFromEngine(
  services: Pick<ContainerServices, 'docker' | 'life' | 'sessions' | 'teardowns'>,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  await services.teardowns.run(id, (limit) => removeFromEngine(services, id, limit), signal);
}

/** Stops all that runs in the sandbox, and what is just being started there. */
export async function stopContainersOf(
  services: ContainerServices,
  sandboxId: string,
  signal: AbortSignal,
): Promise<void> {
  const containers = services.store.containers.ofSandbox(sandboxId);
  await forEachLimited(containers, CONCURRENT_STOPS, async (known) => {
    const container = await afterStart(services, known, signal);
    if (container === undefined || !isRunning(container)) return;
    await stopAndSettle(services, container.id, NO_GRACE_SECONDS, signal);
  });
}

/** Removes all containers of the sandbox, running or not. */
export async function removeContainersOf(
  services: ContainerServices,
  sandboxId: string,
  signal: AbortSignal,
): Promise<void> {
  const containers = services.store.containers.ofSandbox(sandboxId);
  await forEachLimited(containers, CONCURRENT_REMOVALS, ({ id }) => removeFromEngine(services, id, signal));
}
