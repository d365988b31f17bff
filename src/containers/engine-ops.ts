import type { DockerClient } from '../docker/client';
import { EngineError, hasStatus } from '../docker/errors';
import { abortable } from '../lib/async/abortable';
import { forEachLimited, Semaphore } from '../lib/async/concurrency';
import { sharedAbortController, withDeadline } from '../lib/async/deadline';
import { KeyedLock } from '../lib/async/keyed-lock';
import { RuntimeError, unavailable } from '../lib/errors';
import type { ContainerRecord, MountRecord } from '../store/records';
import { certainlyRuns, isCreated, mayRun } from '../store/states';
import type { Store } from '../store/store';
import { explainStartError } from '../translate/container/engine-refusals';
import { hasNetworkDeadlock } from '../translate/shared/engine-facts';
import type { CreationServices } from './creation';

/** The services that operations on containers need. Handlers have these and more. */
export interface ContainerServices extends CreationServices {
  readonly sessions: ContainerSessions;
  readonly teardowns: Teardowns;
}

/**
 * Statuses which mean that the fault lies with the container or with something that it needs. 404 also means that
 * something which the container joins is gone.
 */
const ITS_OWN_FAULT: readonly number[] = [400, 404, 409, 500];
/**
 * How long to wait for the Engine's event of a death, which normally arrives as the stop call ends. After this time the
 * container is inspected.
 */
const SETTLE_MS = 1_000;
/** The containers of a sandbox are killed without a grace period, because kubelet has stopped them gracefully before. */
const NO_GRACE_SECONDS = 0;
const CONCURRENT_STOPS = 16;
const CONCURRENT_REMOVALS = 8;

/** FAILED_PRECONDITION with a message that tells an operator what to correct. */
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
 * @param mounts the requested mounts, so that the error can name the faulty mount.
 * @throws StartFailure when the fault lies with the container; otherwise the Engine's own error.
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
 * Waits for a start that is under way, and returns the record after it. Until the start ends, the record says `created`.
 * Without the wait, the container could start after its stop and keep running in a pod that kubelet considers stopped.
 */
export async function afterStart(
  { life }: Pick<ContainerServices, 'life'>,
  container: ContainerRecord | undefined,
  signal: AbortSignal,
): Promise<ContainerRecord | undefined> {
  if (container === undefined || !isCreated(container)) return container;
  return life.withContainer(container.id, signal, (held) => Promise.resolve(held.container));
}

/**
 * Stops a container or sandbox. Without a grace period it is killed, as other runtimes do: for `t=0`, the Engine's stop would send the
 * stop signal right before SIGKILL, and the container could end by either.
 * @returns false when the Engine no longer had the container. In that case its record is already up to date.
 */
export async function stopInEngine(
  { docker, life, sessions }: Pick<ContainerServices, 'docker' | 'life' | 'sessions'>,
  id: string,
  graceSeconds: number,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await sessions.hurryDuring(id, () =>
      graceSeconds === NO_GRACE_SECONDS
        ? docker.killContainer(id, { signal })
        : docker.stopContainer(id, graceSeconds, { signal }),
    );
    return true;
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    await life.refresh(id, signal);
    return false;
  }
}

/**
 * Stops a container and waits until the store knows of its end. The store learns it from the Engine's event or, when the event
 * is late, from an inspect.
 * @throws UNAVAILABLE when the container runs after the Engine's answer. kubelet repeats the call.
 */
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
      store.containers.waitFor(id, (record) => !mayRun(record), limit),
    );
  } catch {
    signal.throwIfAborted();
    await life.refresh(id, signal);
    const container = store.containers.get(id);
    // A container whose state is unknown may have ended. An error would keep kubelet from ever removing it.
    if (container !== undefined && certainlyRuns(container))
      throw unavailable(`container ${id} still runs after Docker Engine has stopped it`);
  }
}

/** Removes a container or sandbox, running or not, and its record. Succeeds when the container is absent. */
export async function removeFromEngine(
  { docker, life, sessions }: Pick<ContainerServices, 'docker' | 'life' | 'sessions'>,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  await sessions.hurryDuring(id, () => docker.removeContainer(id, { signal }));
  await life.withContainer(id, undefined, (held) => held.forget());
}

/** Removes a sandbox in its turn (see Teardowns), because its end makes the Engine take down its network. */
export async function removeSandboxFromEngine(
  services: Pick<ContainerServices, 'docker' | 'life' | 'sessions' | 'teardowns'>,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  await services.teardowns.run(id, (limit) => removeFromEngine(services, id, limit), signal);
}

/** Stops all containers of the sandbox that are running or being started. */
export async function stopContainersOf(
  services: ContainerServices,
  sandboxId: string,
  signal: AbortSignal,
): Promise<void> {
  const containers = services.store.containers.ofSandbox(sandboxId);
  await forEachLimited(containers, CONCURRENT_STOPS, async (known) => {
    const container = await afterStart(services, known, signal);
    if (container === undefined || !mayRun(container)) return;
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

/**
 * How many sandboxes may end at once on an Engine whose networks can deadlock. The deadlock needs two sandboxes that end in
 * the same instant, so a low number makes it rarer. With a limit of one, draining a node would be slow.
 */
const AT_ONCE = 4;

/**
 * Ends sandboxes a few at a time on Engines whose networks can deadlock when many end at once (docs/adr/0064), and
 * without a limit on other Engines. Only sandboxes need a turn, because the other containers of a pod have no network of
 * their own.
 */
export class Teardowns {
  private readonly turns = new Semaphore(AT_ONCE);
  private readonly sandboxes = new KeyedLock();

  constructor(private readonly store: Pick<Store, 'engineVersion'>) {}

  /**
   * Runs `work` when it is the sandbox's turn.
   * @param sandboxId a sandbox uses only one turn, however often its end is retried.
   * @param work gets the signal for its Engine calls. On an Engine with turns, this is not the caller's signal: the
   * Engine continues a call after its caller has given up, so the turn lasts until the Engine has answered or the call
   * has timed out.
   * @param signal ends the wait for a turn and for the work.
   */
  async run<T>(
    sandboxId: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const own = sharedAbortController().signal;
    if (!hasNetworkDeadlock(this.store.engineVersion ?? '')) return work(signal ?? own);
    signal?.throwIfAborted();
    const turn = (): Promise<T> => this.turns.run(() => work(own), signal);
    return abortable(this.sandboxes.run(sandboxId, turn, signal), signal);
  }
}

/** One exec or attach session of a container. */
export interface SessionPlace {
  /**
   * Fires when the Engine is about to wait for the session. From then on, the output must be read even if the client
   * reads none.
   */
  readonly hurried: AbortSignal;
  hurry(): void;
  leave(): void;
}

/**
 * Keeps the exec and attach sessions of each container. When a container is stopped or removed while the output of its
 * commands is not read, the Engine waits 10 s or more for the readers. A session must not make the Engine wait.
 */
export class ContainerSessions {
  private readonly sessions = new Map<string, Set<AbortController>>();
  /** How many stops and removals are under way, keyed by container id. */
  private readonly ending = new Map<string, number>();

  join(containerId: string): SessionPlace {
    const controller = new AbortController();
    if (this.ending.has(containerId)) controller.abort();
    const places = this.sessions.get(containerId) ?? new Set();
    this.sessions.set(containerId, places.add(controller));
    return {
      hurried: controller.signal,
      hurry: () => controller.abort(),
      leave: () => {
        places.delete(controller);
        if (places.size === 0 && this.sessions.get(containerId) === places) this.sessions.delete(containerId);
      },
    };
  }

  /**
   * Runs `work`, which ends the container, while the container's sessions read all output so that the Engine need not
   * wait.
   */
  async hurryDuring<T>(containerId: string, work: () => Promise<T>): Promise<T> {
    this.ending.set(containerId, (this.ending.get(containerId) ?? 0) + 1);
    for (const controller of this.sessions.get(containerId) ?? []) controller.abort();
    try {
      return await work();
    } finally {
      const left = (this.ending.get(containerId) ?? 1) - 1;
      if (left > 0) this.ending.set(containerId, left);
      else this.ending.delete(containerId);
    }
  }
}
