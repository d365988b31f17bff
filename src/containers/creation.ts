import { createHash } from 'node:crypto';
import type { DockerClient } from '../docker/client';
import { EngineError, hasStatus } from '../docker/errors';
import type { EngineContainerCreate } from '../engine/types';
import { pause } from '../lib/async/abortable';
import { alreadyExists, messageOf, unavailable } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ContainerRecord, SandboxRecord } from '../store/records';
import { wasStarted } from '../store/states';
import type { Store } from '../store/store';
import type { CheckedContainer } from '../translate/container/container-check';
import { differences } from '../translate/shared/contents';
import { findImage } from '../translate/shared/lookup';
import { uniqueEngineName } from '../translate/shared/names';
import type { ContainerLife } from './life';

/** The services that the creation of a container needs. */
export interface CreationServices {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly life: ContainerLife;
  readonly spoolMode: SpoolMode;
  readonly logger: Logger;
}

/** How long to wait for a name. kubelet gives up after two minutes, and should know by then why the call failed. */
const PATIENCE_MS = 60_000;
const FIRST_LOOK_MS = 50;
const LAST_LOOK_MS = 1_000;

/** What to do with a container that already has the wanted name. */
export type Verdict =
  /** The container is what the caller wanted. */
  | { readonly id: string }
  /** The container belongs to another owner, so the new container gets a longer name. */
  | 'stranger'
  /** The container was a useless leftover and has been removed. */
  | 'removed';

export interface Creation {
  readonly create: (engineName: string) => Promise<string>;
  /** @param holder the container that has the name; undefined when it does not belong to a pod. */
  readonly judge: (holder: SandboxRecord | ContainerRecord | undefined) => Verdict | Promise<Verdict>;
  /** Text from which the longer name is derived, so that different owners get different names. */
  readonly owner: string;
  /** Replaces the usual limit, for tests. */
  readonly patienceMs?: number;
}

/**
 * Creates a container under `engineName`, for a caller that holds this name. A repeated call never creates a second
 * container.
 *
 * The Engine may answer that the name is taken (409) although no container with this name exists (404). Then the Engine
 * is still working on a create call whose answer was lost, or has almost finished a removal, so this waits and tries
 * again. The longer name of an owner is always the same, because a create call with the longer name may also have been lost.
 * @returns the container's id.
 * @throws UNAVAILABLE when the name stays taken without a container for a minute.
 */
export async function createOnce(
  { life }: Pick<CreationServices, 'life'>,
  engineName: string,
  creation: Creation,
  signal: AbortSignal,
): Promise<string> {
  const { create, judge, owner, patienceMs = PATIENCE_MS } = creation;
  const longer = uniqueEngineName(engineName, suffixOf(`${owner} ${engineName}`));
  let name = engineName;
  let lookMs = FIRST_LOOK_MS;
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await create(name);
    } catch (error) {
      if (!hasStatus(error, 409)) throw error;
      const { exists, record } = await life.discover(name, signal);
      if (!exists) {
        if (performance.now() > deadline) throw stillTaken(name, error);
        await pause(lookMs, signal);
        signal.throwIfAborted();
        lookMs = Math.min(2 * lookMs, LAST_LOOK_MS);
        continue;
      }
      const verdict = await judge(record);
      if (typeof verdict === 'object') return verdict.id;
      if (verdict === 'removed') continue;
      if (name === longer) throw error;
      name = longer;
    }
  }
}

function suffixOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function stillTaken(name: string, error: unknown): Error {
  return unavailable(
    `Docker Engine says that the name ${name} is taken, but has no such container: it is probably still being created (${messageOf(error)})`,
  );
}

/**
 * Decides what to do with a container of this sandbox that already has the wanted name and attempt. If it was never
 * started and differs from the request, it is removed: a lost call created it, and kubelet's request has changed since
 * then. A container of cri-dockerd or of an older dockbridge does not record its request, so it is also removed if it was
 * never started.
 * @returns the container's id when it matches the request; undefined when it is gone.
 * @throws ALREADY_EXISTS when it was started, because then the caller already knows it and wants a second container.
 */
export async function settleExisting(
  { docker, store, life }: Pick<CreationServices, 'docker' | 'store' | 'life'>,
  { id }: ContainerRecord,
  { contents }: CheckedContainer,
  signal: AbortSignal,
): Promise<string | undefined> {
  // The lock keeps StartContainer from running between the check and the removal.
  return life.withContainer(id, signal, async (held) => {
    const { container } = held;
    if (container === undefined) return undefined;
    const others =
      container.contents &&
      [...differences(container.contents, contents), ...movedImages(store, container)].sort();
    if (wasStarted(container)) throw exists(container, others);
    if (others?.length === 0) return id;
    try {
      await docker.removeContainer(id, { signal, ifStopped: true });
    } catch (error) {
      if (!hasStatus(error, 409)) throw error;
      // Another client has started the container in the meantime.
      await held.refresh();
      throw exists(held.container ?? container, others);
    }
    await held.forget();
    return undefined;
  });
}

/** Returns the fields whose image name now refers to another image. */
function movedImages(store: Store, { image, imageId, mounts }: ContainerRecord): string[] {
  const moved = (name: string, id: string, field: string): string[] => {
    const found = findImage(store, name, field);
    return found === undefined || found.id === id ? [] : [field];
  };
  return [
    ...moved(image, imageId, 'config.image'),
    ...mounts.flatMap((mount, index) =>
      mount.image === undefined
        ? []
        : moved(mount.image.image, mount.image.id, `config.mounts[${index}].image`),
    ),
  ];
}

function exists({ id, metadata, state }: ContainerRecord, others: readonly string[] = []): Error {
  const difference = others.length === 0 ? '' : ` and differs in ${others.join(', ')}`;
  return alreadyExists(
    `container ${metadata.name} attempt ${metadata.attempt} already exists in this sandbox as ${id} (${state})${difference}; use another attempt`,
  );
}

/**
 * Creates a container of the Engine for a handler that holds its name.
 *
 * A call that is cancelled or cut off may still have succeeded in the Engine. Its event is not handled while the handler
 * holds the name, so this looks for the container and puts it into the store. kubelet's retry or garbage collection then
 * finds it.
 * @returns the container's id.
 */
export async function createInEngine(
  { docker, life, logger, spoolMode }: Pick<CreationServices, 'docker' | 'life' | 'logger' | 'spoolMode'>,
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

/** How much of a container's output the Engine may buffer in memory when it cannot be configured to block. */
const BUFFER = '64m';

/**
 * Creates containers on Engines whose `log-opts` in daemon.json conflict with the options of the spool. The Engine adds its own
 * options to those of a request. If they include `max-buffer-size`, the Engine refuses `mode=blocking`, and a request cannot
 * remove that option. The only choice left is the non-blocking mode with a large buffer. In this mode, output is lost when the
 * Engine's disk is so much slower than the container that the buffer fills up. Engines before 23 also lose the last write of a
 * container that ends right after that write (moby/moby#42316).
 *
 * dockbridge cannot read the Engine's `log-opts`, and only the text of a refusal (400) names the wrong key. Therefore a second
 * request with the other mode decides. If the refusal had another cause, the second request is refused too, and its error is
 * reported, because the first error may have been about the log only.
 */
export class SpoolMode {
  private told = false;

  constructor(private readonly logger: Logger) {}

  /**
   * Creates a container, first in blocking mode.
   * @param send creates a container from a body and returns the container's id.
   */
  async create(
    body: EngineContainerCreate,
    send: (body: EngineContainerCreate) => Promise<string>,
  ): Promise<string> {
    try {
      return await send(body);
    } catch (error) {
      const buffered = withBuffer(body);
      if (buffered === undefined || !hasStatus(error, 400)) throw error;
      const id = await send(buffered);
      this.tell();
      return id;
    }
  }

  private tell(): void {
    if (this.told) return;
    this.told = true;
    this.logger.warn(
      'Docker Engine buffers the output of containers: log-opts in its daemon.json set max-buffer-size. Remove mode and max-buffer-size there, or output may be lost',
      { buffer: BUFFER },
    );
  }
}

function withBuffer(body: EngineContainerCreate): EngineContainerCreate | undefined {
  const { LogConfig: log } = body.HostConfig;
  if (log?.Config.mode !== 'blocking') return undefined;
  const Config = { ...log.Config, mode: 'non-blocking', 'max-buffer-size': BUFFER };
  return { ...body, HostConfig: { ...body.HostConfig, LogConfig: { ...log, Config } } };
}
