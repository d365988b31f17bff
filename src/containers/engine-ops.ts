import type { DockerClient } from '../docker/client';
import { EngineError, hasStatus } from '../docker/errors';
import { abortable } from '../lib/async/abortable';
import { forEachLimited, Semaphore } from '../lib/async/concurrency';
import { sharedAbortController, withDeadline } from '../lib/async/deadline';
import { KeyedLock } from '../lib/async/keyed-lock';
import { RuntimeError } from '../lib/errors';
import type { ContainerRecord, MountRecord } from '../store/records';
import { isCreated, mayRun } from '../store/states';
import type { Store } from '../store/store';
import { explainStartError } from '../translate/container/engine-refusals';
import { hasNetworkDeadlock } from '../translate/shared/engine-facts';
import type { CreationServices } from './creation';

/** What operations on containers work with: a part of what handlers have. */
export interface ContainerServices extends CreationServices {
  readonly sessions: ContainerSessions;
  readonly teardowns: Teardowns;
}

/** Statuses that blame the container itself, or something that it needs. 404 also means that something it joins is gone. */
const ITS_OWN_FAULT: readonly number[] = [400, 404, 409, 500];
/** The Engine's event of a death comes with the end of the stop call. After this long we ask instead. */
const SETTLE_MS = 1_000;
/** The containers of a sandbox are killed, not asked: kubelet has stopped them gracefully before. */
const NO_GRACE_SECONDS = 0;
const CONCURRENT_STOPS = 16;
const CONCURRENT_REMOVALS = 8;

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
 * Waits for a start that is under way, and returns the record after it. The record says `created` until then. Without the wait,
 * the container could start after its stop, and keep running in a pod that kubelet believes stopped.
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
      store.containers.waitFor(id, (record) => !mayRun(record), limit),
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

/** Stops all containers that run in the sandbox or are just being started there. */
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
 * The deadlock needs two sandboxes that end in the same instant, so it is rarer with few at once. With one at once, draining a
 * node would be slow.
 */
const AT_ONCE = 4;

/**
 * Ends sandboxes a few at a time on Engines whose networks can deadlock when many end at once (docs/adr/0064); all at once
 * on others. Only sandboxes count: the other containers of a pod have no network of their own.
 */
export class Teardowns {
  private readonly turns = new Semaphore(AT_ONCE);
  private readonly sandboxes = new KeyedLock();

  constructor(private readonly store: Pick<Store, 'engineVersion'>) {}

  /**
   * @param sandboxId a sandbox takes one turn, however often its end is tried again.
   * @param work gets the signal for its Engine calls. Where turns are taken, this is not the caller's signal. The Engine goes on
   * with a call that its caller has given up, so the turn lasts until the Engine has answered or the call has timed out.
   * @param signal gives up the wait for a turn and for the work.
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

/** One session of a container. */
export interface SessionPlace {
  /** Fires when the Engine is about to wait for the session. From then on the output must be read, even if the client reads none. */
  readonly hurried: AbortSignal;
  hurry(): void;
  leave(): void;
}

/**
 * Knows the exec and attach sessions of each container. When the Engine stops or removes a container, it waits (10 s and more)
 * until somebody has read what the container's commands wrote. A session must not keep it waiting.
 */
export class ContainerSessions {
  private readonly sessions = new Map<string, Set<AbortController>>();
  /** How many stops and removals are under way, by container. */
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

  /** Runs `work`, which ends the container, while none of its sessions holds the Engine up. */
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
