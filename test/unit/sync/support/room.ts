import { FakeEngine } from '../../../fakes/fake-docker';
import { silentLogger, type LogFields, type Logger } from '../../../../src/lib/logger';
import type { ContainerLogs, LogSource, RelinkedLog } from '../../../../src/logs/container-logs';
import { NameReservations } from '../../../../src/store/name-reservations';
import { WritableStore } from '../../../../src/store/store';
import { ContainerEvents } from '../../../../src/containers/events';
import { ContainerResync, type ContainerResyncParts } from '../../../../src/containers/resync';
import { ContainerLife, type LifeParts } from '../../../../src/containers/life';
import { NoClaim, type EngineClaim } from '../../../../src/sync/engine-claim';
import { EngineLink } from '../../../../src/sync/engine-link';
import { NoFactsMemory, type FactsMemory } from '../../../../src/sync/facts-memory';
import type { LinkTimes } from '../../../../src/sync/link-times';
import { ForeignContainers } from '../../../../src/containers/foreign';
import { ImageSync } from '../../../../src/sync/image-sync';
import type { EngineContainerInspect, EngineEvent } from '../../../../src/engine/types';
import { engineIps } from '../../../../src/translate/sandbox/sandbox-record';
import { until } from '../../support/async';
import { engineId } from '../../support/records';

/** Records the calls to the logs. A test can replace an `on…` member to delay a call or let it fail. */
export class FakeLogs implements ContainerLogs {
  readonly calls: string[] = [];
  readonly followed: LogSource[] = [];
  onFollow: () => Promise<void> = () => Promise.resolve();
  onDrain: () => Promise<void> = () => Promise.resolve();
  onSalvage: () => Promise<void> = () => Promise.resolve();
  onForget: () => Promise<void> = () => Promise.resolve();

  follow(source: LogSource): Promise<void> {
    this.calls.push(`follow ${source.containerId}`);
    this.followed.push(source);
    return this.onFollow();
  }

  drain(containerId: string): Promise<void> {
    this.calls.push(`drain ${containerId}`);
    return this.onDrain();
  }

  salvage({ containerId }: { containerId: string }): Promise<void> {
    this.calls.push(`salvage ${containerId}`);
    return this.onSalvage();
  }

  note({ containerId }: { containerId: string }, text: string): Promise<void> {
    this.calls.push(`note ${containerId} ${text}`);
    return Promise.resolve();
  }

  forget(containerId: string): Promise<void> {
    this.calls.push(`forget ${containerId}`);
    return this.onForget();
  }

  retain(containerIds: ReadonlySet<string>): Promise<void> {
    this.calls.push(`retain ${[...containerIds].join(',')}`);
    return Promise.resolve();
  }

  handOver({ containerId }: { containerId: string }): Promise<RelinkedLog> {
    this.calls.push(`hand over ${containerId}`);
    return Promise.resolve({ changed: true, keptAs: '/kept' });
  }

  reopen(): Promise<void> {
    return Promise.reject(new Error('not implemented'));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

type RoomNetwork = LifeParts['network'] & ContainerResyncParts['network'];

/** Reads addresses as the Engine's bridge does, and does nothing else. */
export const NETWORK: RoomNetwork = {
  stateOf: (sandbox: EngineContainerInspect) => Promise.resolve({ ready: true, ips: engineIps(sandbox) }),
  rememberedIps: () => ['10.0.0.9'],
  heldSandboxes: () => [],
  livingSandboxes: () => Promise.resolve(new Set()),
  abandon: () => undefined,
  collectGarbage: () => undefined,
};

/** Records which checkpoints are completed and removed. */
export class FakeCheckpoints {
  readonly calls: string[] = [];
  /** The sandboxes that have a checkpoint. */
  held: string[] = [];

  complete({ id }: { id: string }): Promise<void> {
    return this.note(`complete ${id}`);
  }

  remove(id: string): Promise<void> {
    return this.note(`remove ${id}`);
  }

  removeOrphan(id: string): Promise<void> {
    return this.note(`orphan ${id}`);
  }

  sandboxes(): Promise<string[]> {
    return Promise.resolve(this.held);
  }

  private note(call: string): Promise<void> {
    this.calls.push(call);
    return Promise.resolve();
  }
}

/** Connects all of src/containers and src/sync to a fake Engine. */
export function syncRoom(
  times: Partial<LinkTimes> = {},
  parts: Partial<LifeParts & Pick<ContainerResyncParts, 'overrides' | 'network'>> = {},
  claim: EngineClaim = new NoClaim(),
  resyncParts: Partial<ContainerResyncParts> = {},
  factsMemory: FactsMemory = new NoFactsMemory(),
) {
  const engine = new FakeEngine();
  const [store, logs, reservations] = [new WritableStore(), new FakeLogs(), new NameReservations()];
  const checkpoints = new FakeCheckpoints();
  const complaints: string[] = [];
  const note = (message: string, fields?: LogFields) =>
    void complaints.push([message, fields?.error ?? fields?.reason].filter(Boolean).join(': '));
  const logger: Logger = { ...silentLogger, warn: note, error: note };
  const docker = engine.client;
  /** The ids of containers that the kernel's log names. */
  const killedForMemory = new Set<string>();
  const life = new ContainerLife({
    docker,
    store,
    logs,
    network: NETWORK,
    checkpoints,
    logger,
    localEngine: false,
    kernelLog: { killedForMemory: (id) => Promise.resolve(killedForMemory.has(id)) },
    ...parts,
  });
  const network = parts.network ?? NETWORK;
  const foreignContainers = new ForeignContainers({ docker, store, logger });
  const resync = new ContainerResync({
    ...{ docker, store, life, foreignContainers, logs, network, checkpoints, reservations, logger },
    overrides: parts.overrides,
    ...resyncParts,
  });
  const events = new ContainerEvents({
    life,
    store,
    reservations,
    logger,
    onDoubt: (id) => resync.doubt(id),
  });
  const imageSync = new ImageSync({ docker, store, logger });
  const link = new EngineLink({
    docker,
    store,
    containerResync: resync,
    containerEvents: events,
    foreignContainers,
    imageSync,
    diskUsage: { run: () => Promise.resolve() },
    watch: { trouble: undefined, look: () => undefined },
    claim,
    factsMemory,
    localEngine: false,
    logger,
    times,
  });
  /** Delivers an event, and waits until it and all earlier ones for that container have been handled. */
  const told = async (event: EngineEvent) => {
    events.handle(event);
    await life.withContainer(event.Actor.ID, undefined, () => Promise.resolve());
  };
  return {
    ...{ engine, docker, store, logs, checkpoints, reservations, complaints, killedForMemory },
    ...{ life, resync, events, imageSync, link, told },
  };
}

export type SyncRoom = ReturnType<typeof syncRoom>;

/** Adds these containers to the Engine. */
export function roomWith(...inspects: EngineContainerInspect[]): SyncRoom {
  const room = syncRoom();
  for (const inspect of inspects) room.engine.containers.set(inspect.Id, inspect);
  return room;
}

export const SANDBOX_ID = engineId('a1');
export const CONTAINER_ID = engineId('c1');

/** A container of a pod as the Engine describes it. */
export function containerInspect(
  over: {
    id?: string;
    name?: string;
    state?: Partial<EngineContainerInspect['State']>;
    logPath?: string;
  } = {},
): EngineContainerInspect {
  const id = over.id ?? CONTAINER_ID;
  return {
    Id: id,
    Name: `/${over.name ?? `k8s_app_web_shop_${id.slice(0, 4)}_0`}`,
    Created: '2023-11-14T22:13:20.000000001Z',
    Image: `sha256:${engineId('1')}`,
    LogPath: '/var/lib/docker/containers/c/c-json.log',
    State: {
      Status: 'running',
      Pid: 4711,
      ExitCode: 0,
      OOMKilled: false,
      Error: '',
      StartedAt: '2023-11-14T22:13:21.000000002Z',
      FinishedAt: '0001-01-01T00:00:00Z',
      ...over.state,
    },
    Config: {
      Image: 'busybox',
      Labels: {
        'io.kubernetes.docker.type': 'container',
        'io.kubernetes.sandbox.id': SANDBOX_ID,
        'io.kubernetes.container.logpath': over.logPath ?? '/var/log/pods/app/0.log',
      },
    },
    HostConfig: {},
    NetworkSettings: {},
  };
}

/**
 * A container of a pod with dockbridge's own label, which contains all of a ListContainers element except the
 * state.
 */
export function ownContainerInspect(
  over: Parameters<typeof containerInspect>[0] & { sandboxId?: string } = {},
): EngineContainerInspect {
  const container = containerInspect(over);
  const sandboxId = over.sandboxId ?? SANDBOX_ID;
  const extra = {
    ...{ v: 1, sandboxId, metadata: { name: 'app', attempt: 0 }, mounts: [] },
    image: { image: 'busybox:1', userSpecified: 'busybox:1', annotations: {} },
    ...{ labelKeys: [], annotationKeys: [], shadowed: {}, createdAt: '1700000000000000009' },
  };
  const labels = { 'io.kubernetes.sandbox.id': sandboxId, 'io.dockbridge.cri': JSON.stringify(extra) };
  return { ...container, Config: { ...container.Config, Labels: { ...container.Config.Labels, ...labels } } };
}

export const CREATED_STATE = { Status: 'created', Pid: 0, StartedAt: '0001-01-01T00:00:00Z' };
export const EXITED_STATE = {
  Status: 'exited',
  Pid: 0,
  ExitCode: 3,
  FinishedAt: '2023-11-14T22:13:22.000000003Z',
};

export function sandboxInspect(
  over: { id?: string; state?: Partial<EngineContainerInspect['State']> } = {},
): EngineContainerInspect {
  const id = over.id ?? SANDBOX_ID;
  const container = containerInspect({ id, name: `k8s_POD_web_shop_${id.slice(0, 4)}_0`, ...over });
  return {
    ...container,
    Config: { Image: 'pause', Hostname: 'web', Labels: { 'io.kubernetes.docker.type': 'podsandbox' } },
    NetworkSettings: { Networks: { bridge: { IPAddress: '172.17.0.2' } } },
  };
}

export function containerEvent(
  action: string,
  over: { id?: string; name?: string; exitCode?: string; timeNano?: number; type?: string | undefined } = {},
): EngineEvent {
  const id = over.id ?? CONTAINER_ID;
  return {
    Type: 'container',
    Action: action,
    Actor: {
      ID: id,
      Attributes: {
        name: over.name ?? `k8s_app_web_shop_${id.slice(0, 4)}_0`,
        ...('type' in over ? {} : { 'io.kubernetes.docker.type': 'container' }),
        ...(over.exitCode === undefined ? {} : { exitCode: over.exitCode }),
      },
    },
    timeNano: over.timeNano ?? 1_700_000_002_000_000_000,
  };
}

export const imageEvent: EngineEvent = {
  Type: 'image',
  Action: 'tag',
  Actor: { ID: 'sha256:x', Attributes: {} },
  timeNano: 0,
};

/** Starts the link and waits until it is ready. */
export async function connected(room: SyncRoom): Promise<SyncRoom> {
  room.link.start();
  await until(() => room.link.state.ready, 'the link');
  return room;
}
