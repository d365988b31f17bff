import { join } from 'node:path';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ContainerLogs, LogSource } from '../logs/container-logs';
import type { ContainerRecord } from '../store/records';
import type { Store } from '../store/store';
import { engineTimeFromNanos } from '../translate/shared/time';

export interface ContainerLogParts {
  readonly store: Store;
  readonly logs: ContainerLogs;
  readonly logger: Logger;
  readonly localEngine: boolean;
}

/** What is remembered about a log that could not catch up with its container. */
export interface LogBehind {
  /**
   * Whether the store already knew the container at the first try. This is remembered because at a later try the store
   * always knows it.
   */
  readonly wasKnown: boolean;
}

/**
 * Lets the CRI log of a container catch up with the container's state. A failure is only logged, so that it stops nothing
 * else.
 * @param behind what the previous try returned.
 * @returns undefined, or what the next try needs to know.
 */
export async function keepLog(
  parts: ContainerLogParts,
  container: ContainerRecord,
  behind?: LogBehind,
): Promise<LogBehind | undefined> {
  if (container.logPath === '') return undefined;
  const wasKnown = behind?.wasKnown ?? parts.store.containers.get(container.id) !== undefined;
  try {
    await follow(parts, container, { wasKnown, isAgain: behind !== undefined });
    return undefined;
  } catch (error) {
    // A missing log thread was already logged once for all containers.
    if (parts.logs.trouble?.reason !== 'LogsWithoutThread')
      parts.logger.warn('Cannot write a container log', {
        container: container.id,
        logPath: container.logPath,
        error: messageOf(error),
      });
    return { wasKnown };
  }
}

async function follow(
  { store, logs, localEngine }: ContainerLogParts,
  container: ContainerRecord,
  { wasKnown, isAgain }: LogBehind & { readonly isAgain: boolean },
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
  // If the Engine died while it started the container, no start is recorded, but the container may have written output.
  if (neverStarted) return logs.salvage({ ...place, spoolPath });
  const ended = finishedAt.greaterThanOrEqual(startedAt);
  if (ended && !isAgain && known?.finishedAt.equals(finishedAt)) return;
  const source: LogSource = { ...place, spoolPath, startedAt: engineTimeFromNanos(startedAt) };
  await logs.follow({ ...source, hasEnded: ended && !wasKnown });
  if (ended) await logs.drain(containerId);
}

/**
 * Returns the path of the Engine's json-file. It is derived here, because the Engine reports it only after it has
 * recorded a start.
 */
function spoolOf(store: Store, id: string): string {
  const rootDir = store.engine?.rootDir ?? '';
  return rootDir === '' ? '' : join(rootDir, 'containers', id, `${id}-json.log`);
}

/** Log drivers that write the json-file from which CRI logs are copied; '' means that the driver is not known. */
const READABLE = new Set(['json-file', '']);

/**
 * Explains why a container with this log driver has no CRI log. Only containers that dockbridge did not create have a
 * driver other than json-file.
 * @returns a sentence that is written in place of the log; undefined if the log can be copied.
 */
export function whyUnreadable(driver: string, id: string): string | undefined {
  if (READABLE.has(driver)) return undefined;
  if (driver === 'none') return 'the Engine discards the output of this container (its log driver is none)';
  const shown = driver.replace(/[^\w./:@-]/g, '?').slice(0, 64);
  return (
    `the output of this container is not here: the Engine sends it to the log driver ${shown}, ` +
    `not json-file; \`docker logs ${id.slice(0, 12)}\` may show it`
  );
}
