import { ContainerEventType } from '../../proto/enums';
import type { ContainerRecord, SandboxRecord } from '../../store/records';
import { Stage, stageOf } from '../../store/states';

type AnyRecord = SandboxRecord | ContainerRecord;

const {
  CONTAINER_CREATED_EVENT: CREATED,
  CONTAINER_STARTED_EVENT: STARTED,
  CONTAINER_STOPPED_EVENT: STOPPED,
  CONTAINER_DELETED_EVENT: DELETED,
} = ContainerEventType;

/**
 * The CRI events of one change of a record. Whatever the store learns late or in one step (a container that started and
 * ended while the Engine could not be heard), nothing is left out: created, started, stopped, deleted, in this order.
 */
export function lifecycleEvents(
  now: AnyRecord | undefined,
  before: AnyRecord | undefined,
): ContainerEventType[] {
  const [from, to] = [stageOf(before), stageOf(now)];
  if (now === undefined || before === undefined) {
    if (now !== undefined) return [CREATED, ...stepsUp(Stage.created, to, now)];
    return from === Stage.started ? [STOPPED, DELETED] : [DELETED];
  }
  if (!isAnotherRun(now, before, from, to)) return stepsUp(from, to, now);
  return [...(from === Stage.started ? [STOPPED] : []), ...stepsUp(Stage.created, to, now)];
}

function stepsUp(from: Stage, to: Stage, now: AnyRecord): ContainerEventType[] {
  return [
    ...(from < Stage.started && to >= Stage.started && hasRun(now) ? [STARTED] : []),
    ...(from < Stage.stopped && to === Stage.stopped ? [STOPPED] : []),
  ];
}

/** A start that failed goes straight from created to stopped. */
function hasRun(now: AnyRecord): boolean {
  return now.kind === 'sandbox' || !now.startedAt.isZero();
}

/** Started again since: seen by its start time, or where there is none by its process. */
function isAnotherRun(now: AnyRecord, before: AnyRecord, from: Stage, to: Stage): boolean {
  if (from < Stage.started || to < Stage.started) return false;
  if (from === Stage.stopped && to === Stage.started) return true;
  // All that is known of it is a list's word, whose start time is a guess: it could not be inspected.
  if (from === Stage.started && before.pid === 0) return false;
  if (now.kind === 'container' && before.kind === 'container') return !now.startedAt.equals(before.startedAt);
  return now.pid !== before.pid && now.pid !== 0 && before.pid !== 0;
}
