import { join } from 'node:path';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ContainerLogs, LogSource } from '../logs/container-logs';
import type { ContainerRecord } from '../store/records';
import type { Store } from '../store/store';
import { whyUnreadable } from '../translate/log-driver';
import { engineTimeFromNanos } from '../translate/time';

export interface ContainerLogParts {
  readonly store: Store;
  readonly logs: ContainerLogs;
  readonly logger: Logger;
  readonly localEngine: boolean;
}

/**
 * Lets the CRI log of a container catch up with its state. Trouble with a log is logged, and stops nothing else.
 * @param isAgain whether the last time failed: then what was known before says nothing of the log.
 * @returns false when it must be tried again.
 */
export async function keepLog(
  parts: ContainerLogParts,
  container: ContainerRecord,
  isAgain = false,
): Promise<boolean> {
  if (container.logPath === '') return true;
  try {
    await follow(parts, container, isAgain);
    return true;
  } catch (error) {
    // It was said once for all containers.
    if (parts.logs.trouble?.reason === 'LogsWithoutThread') return false;
    parts.logger.warn('CRI log of a container cannot be written', {
      container: container.id,
      log_path: container.logPath,
      error: messageOf(error),
    });
    return false;
  }
}

async function follow(
  { store, logs, localEngine }: ContainerLogParts,
  container: ContainerRecord,
  isAgain: boolean,
): Promise<void> {
  const { id: containerId, logPath, startedAt, finishedAt, sandboxId, logDriver } = container;
  const known = store.containers.get(containerId);
  const place = { containerId, logPath, logDirectory: store.sandboxes.get(sandboxId)?.logDirectory };
  const neverStarted = startedAt.isZero();
  const why = whyUnreadable(logDriver, containerId);
  if (why !== undefined) {
    if (!neverStarted) await logs.note(place, why);
    return;
  }
  const spoolPath = container.spoolPath || (localEngine ? spoolOf(store, containerId) : '');
  if (spoolPath === '') return;
  // The Engine died while it started the container: it knows nothing of a start, but output may be there.
  if (neverStarted) return logs.salvage({ ...place, spoolPath });
  const ended = finishedAt.greaterThanOrEqual(startedAt);
  if (ended && !isAgain && known?.finishedAt.equals(finishedAt)) return;
  const source: LogSource = { ...place, spoolPath, startedAt: engineTimeFromNanos(startedAt) };
  await logs.follow({ ...source, hasEnded: ended && known === undefined });
  if (ended) await logs.drain(containerId);
}

/** The Engine tells the path once it has noted a start. */
function spoolOf(store: Store, id: string): string {
  const rootDir = store.engine?.rootDir ?? '';
  return rootDir === '' ? '' : join(rootDir, 'containers', id, `${id}-json.log`);
}
