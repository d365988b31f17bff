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

/** What the creation of a container works with. */
export interface CreationServices {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly life: ContainerLife;
  readonly spoolMode: SpoolMode;
  readonly logger: Logger;
}

/** kubelet asks again after two minutes. By then it should have heard why the call failed. */
const PATIENCE_MS = 60_000;
const FIRST_LOOK_MS = 50;
const LAST_LOOK_MS = 1_000;

/** What to do with the container that has the wanted name already. */
export type Verdict =
  /** It is what the caller wanted. */
  | { readonly id: string }
  /** It belongs to somebody else: ours gets a longer name. */
  | 'stranger'
  /** It was a useless leftover and is removed now. */
  | 'removed';

export interface Creation {
  readonly create: (engineName: string) => Promise<string>;
  /** @param holder undefined for a container that does not belong to a pod. */
  readonly judge: (holder: SandboxRecord | ContainerRecord | undefined) => Verdict | Promise<Verdict>;
  /** Tells this container's longer name from that of any other with the same name. */
  readonly owner: string;
  /** Another limit, for tests. */
  readonly patienceMs?: number;
}

/**
 * Creates a container under `engineName`, for a caller that holds that name, so that a call that is repeated never makes a
 * second one.
 *
 * A name that is taken (409) by a container that does not exist (404) belongs to a create call whose answer was lost and that
 * the Engine is still working on, or to a removal that is almost finished. Then we wait and ask again. An owner's longer name
 * is always the same, because its own create call may have been lost too.
 * @returns the container's id.
 * @throws UNAVAILABLE when the Engine gives no container to the name within a minute.
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
    `Docker Engine says that the name ${name} is taken, but has no such container: it is probably still creating it (${messageOf(error)})`,
  );
}

/**
 * Decides what to do with a container of this sandbox that already has the wanted name and attempt. If it was never started and
 * differs from the request, it is replaced: a lost call made it, and kubelet's request has changed with the pod's surroundings
 * since then. A container of cri-dockerd or of an older version does not record what it was made from, so it is replaced too if
 * it was never started.
 * @returns its id when it is what the request asks for; undefined when it is gone.
 * @throws ALREADY_EXISTS when it was started, because then the caller knows it and wants a second one.
 */
export async function settleExisting(
  { docker, store, life }: Pick<CreationServices, 'docker' | 'store' | 'life'>,
  { id }: ContainerRecord,
  { contents }: CheckedContainer,
  signal: AbortSignal,
): Promise<string | undefined> {
  // The lock keeps StartContainer from coming between the look and the removal.
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
      // Somebody started it behind our back.
      await held.refresh();
      throw exists(held.container ?? container, others);
    }
    await held.forget();
    return undefined;
  });
}

/** Fields whose image name means another image by now. */
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
  const difference = others.length === 0 ? '' : ` with another ${others.join(', ')}`;
  return alreadyExists(
    `container ${metadata.name} attempt ${metadata.attempt} exists in this sandbox as ${id} (${state})${difference}; use another attempt`,
  );
}

/**
 * Creates a container of the Engine for a handler that holds its name.
 *
 * A call that is cancelled or cut off may still have succeeded in the Engine. Nobody handles its event while we hold the name,
 * so this looks for the container. It is then in the store, and kubelet's retry or GC deals with it.
 * @returns its id.
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

/** How much of a container's output the Engine may hold in memory where it cannot be told to block. */
const BUFFER = '64m';

/**
 * Creates containers on Engines whose own `log-opts` contradict ours. The Engine adds its options to those of the request;
 * with `max-buffer-size` among them it refuses `mode=blocking`, and a request cannot remove that option. What is left is the
 * non-blocking mode with a large buffer. It drops output when the Engine's disk is slower than the container until the buffer
 * is full, and before Engine 23 also the last write of a container that ends right after it (moby/moby#42316).
 *
 * Only the Engine knows its options, and only the text of a refusal (400) says which key is wrong. So a second request
 * decides: if the cause was another one, it is refused too, and its words count, because the first refusal may have been about
 * the log only.
 */
export class SpoolMode {
  private told = false;

  constructor(private readonly logger: Logger) {}

  /** @param send creates a container of that body, and returns its id. */
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
