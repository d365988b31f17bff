import type { DockerClient } from '../docker/client';
import { hasStatus } from '../docker/errors';
import { withDeadline } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import type { ContainerLogs } from '../logs/container-logs';
import type { NetworkKeeper } from '../network/pod-network';
import type { Checkpoints } from '../network/sandbox-checkpoints';
import { isAlive } from '../store/states';
import { containerFromInspect } from '../translate/container/container-record';
import type { EngineContainerInspect } from '../engine/types';
import { TYPE_LABEL } from '../translate/shared/labels';
import { isSandbox, sandboxFromInspect } from '../translate/sandbox/sandbox-record';
import { engineTimeFromNanos } from '../translate/shared/time';

/**
 * The result of a step. `failed`: cri-dockerd will lack something it needs. `nothing`: nothing had to be done, or nothing
 * could be done.
 */
export type Outcome = 'done' | 'nothing' | 'failed';

/** One step that was done or attempted. */
export interface HandOverStep {
  readonly what: 'log' | 'checkpoint' | 'namespace' | 'container' | 'call';
  /** The name or id of the container or sandbox, or a phrase such as `all pods`. */
  readonly of: string;
  readonly outcome: Outcome;
  readonly detail: string;
}

export interface HandOverParts {
  readonly docker: DockerClient;
  readonly logs: Pick<ContainerLogs, 'handOver'>;
  readonly network: Pick<NetworkKeeper, 'letGo'>;
  readonly checkpoints: Pick<Checkpoints, 'ensure'>;
}

const INSPECT_MS = 10_000;

/**
 * Prepares the Engine's pods for cri-dockerd: logs of running containers become links again, cri-dockerd's checkpoints
 * are completed, and network namespaces are released. This reads the Engine and not the store, which may be empty. It can
 * be repeated, and continues what an earlier run has begun.
 */
export async function* handOverPods(
  { docker, logs, network, checkpoints }: HandOverParts,
  signal?: AbortSignal,
): AsyncGenerator<HandOverStep> {
  const all = await docker.listContainers({ label: [TYPE_LABEL] }, { signal });
  for (const { Id: id } of all) {
    const inspect = await look(docker, id, signal);
    if (inspect === undefined) continue;
    if ('outcome' in inspect) yield inspect;
    else if (isSandbox(inspect)) yield await completeCheckpoint(checkpoints, inspect);
    else yield* handOverLog(logs, inspect);
  }
  try {
    for (const id of await network.letGo())
      yield { what: 'namespace', of: id, outcome: 'done', detail: 'is no longer held' };
  } catch (error) {
    yield { what: 'namespace', of: 'all pods', outcome: 'failed', detail: messageOf(error) };
  }
}

/**
 * Inspects a container, or returns a failed step.
 * @returns undefined when the container is gone by now.
 */
async function look(
  docker: DockerClient,
  id: string,
  signal?: AbortSignal,
): Promise<EngineContainerInspect | HandOverStep | undefined> {
  try {
    return await withDeadline('inspect', INSPECT_MS, signal, (limit) =>
      docker.inspectContainer(id, { signal: limit }),
    );
  } catch (error) {
    signal?.throwIfAborted();
    if (hasStatus(error, 404)) return undefined;
    return { what: 'container', of: id, outcome: 'failed', detail: messageOf(error) };
  }
}

async function completeCheckpoint(
  checkpoints: HandOverParts['checkpoints'],
  inspect: EngineContainerInspect,
): Promise<HandOverStep> {
  const step = { what: 'checkpoint', of: nameOf(inspect) } as const;
  const sandbox = sandboxFromInspect(inspect, { ready: false, ips: [] });
  if (sandbox === undefined) return { ...step, outcome: 'nothing', detail: 'is not a pod of ours' };
  try {
    const isWritten = await checkpoints.ensure(sandbox, inspect.HostConfig);
    return isWritten
      ? { ...step, outcome: 'done', detail: 'written' }
      : { ...step, outcome: 'nothing', detail: 'was already complete' };
  } catch (error) {
    return { ...step, outcome: 'failed', detail: messageOf(error) };
  }
}

async function* handOverLog(
  logs: HandOverParts['logs'],
  inspect: EngineContainerInspect,
): AsyncGenerator<HandOverStep> {
  const container = containerFromInspect(inspect);
  // The log of an ended container is complete, and cri-dockerd can read a file as well as a link.
  if (container === undefined || !isAlive(container)) return;
  const { id: containerId, logPath, spoolPath } = container;
  if (logPath === '') return;
  const step = { what: 'log', of: nameOf(inspect) } as const;
  if (spoolPath === '') {
    const driver = inspect.HostConfig.LogConfig?.Type ?? 'unknown';
    yield { ...step, outcome: 'nothing', detail: `its log driver, ${driver}, has no file to link to` };
    return;
  }
  try {
    const startedAt = engineTimeFromNanos(container.startedAt);
    const { changed, keptAs } = await logs.handOver({ containerId, spoolPath, logPath, startedAt });
    if (!changed) yield { ...step, outcome: 'nothing', detail: 'was already a link' };
    else if (keptAs === '') yield { ...step, outcome: 'done', detail: `${logPath} is a link` };
    else yield { ...step, outcome: 'done', detail: `${logPath} is a link, the copy is ${keptAs}` };
  } catch (error) {
    yield { ...step, outcome: 'failed', detail: messageOf(error) };
  }
}

function nameOf(inspect: EngineContainerInspect): string {
  return inspect.Name.replace(/^\//, '');
}
