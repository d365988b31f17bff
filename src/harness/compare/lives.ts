import { objectOf, textOf } from '../json';
import type { Identity } from './identities';
import { GONE, type Answer, type Told } from './told';

/** The age of an object that no longer exists. */
const GONE_AGE = 3;
/** The order of the states in the life of a container or a sandbox. States that are not listed have no place in this order. */
const AGES: ReadonlyMap<string, number> = new Map([
  ...(['CONTAINER_CREATED', 'SANDBOX_READY', 'OK', 'listed'] as const).map((state) => [state, 0] as const),
  ['CONTAINER_RUNNING', 1],
  ...(['CONTAINER_EXITED', 'SANDBOX_NOTREADY'] as const).map((state) => [state, 2] as const),
  ...(['NOT_FOUND', GONE] as const).map((state) => [state, GONE_AGE] as const),
]);

/** Two answers of one runtime, of which the later one reports an earlier state. */
export interface StepBack {
  readonly from: string;
  readonly to: string;
}

interface Seen {
  readonly state: string;
  readonly age: number;
  /** When the call was made and when it was answered, in seconds. */
  readonly asked: number;
  readonly answered: number;
}

/**
 * Finds objects that go back to an earlier state: they run again after they have ended, or exist again after they were gone. No runtime
 * may do this.
 * NOT_FOUND before the first other answer is ignored, because the object may not have been created yet. The
 * runtime may have read the states for overlapping calls in either order, so two answers are compared only if the later call was made
 * after the earlier answer.
 * @returns the first step back of each object.
 */
export function stepsBack({ identity, answers }: Pick<Told, 'identity' | 'answers'>): readonly StepBack[] {
  if (!hasLife(identity)) return [];
  return [...byId(answers).values()].flatMap((seen) => stepBack(seen) ?? []);
}

/** Returns whether `stepsBack` judges the order of this state, so that it need not be compared with the other side. */
export function isOfLife(identity: Identity, state: string): boolean {
  return hasLife(identity) && AGES.has(state);
}

function hasLife({ pod, container }: Identity): boolean {
  return pod !== undefined || container !== undefined;
}

/** Groups the answers by id, because a pod can be created again under the same name. */
function byId(answers: readonly Answer[]): ReadonlyMap<string, readonly Seen[]> {
  const lives = new Map<string, Seen[]>();
  let last = '';
  for (const answer of answers) {
    const { call, state } = answer;
    // A list from which an object has disappeared does not contain its id. The object is the one that was listed last.
    last = state === GONE ? last : idIn(answer);
    const age = AGES.get(state);
    if (age === undefined) continue;
    const seen = { state, age, asked: call.t, answered: call.t + call.ms / 1000 };
    const life = lives.get(last);
    if (life === undefined) lives.set(last, [seen]);
    else life.push(seen);
  }
  return lives;
}

function idIn({ call: { request }, message = {} }: Answer): string {
  const { id } = objectOf(message.attributes);
  const ids = [request.container_id, request.pod_sandbox_id, id, message.id];
  return (
    [...ids, message.container_id, message.pod_sandbox_id].map(textOf).find((one) => one !== undefined) ?? ''
  );
}

function stepBack(seen: readonly Seen[]): StepBack | undefined {
  const born = seen.reduce(
    (least, { age, answered }) => (age < GONE_AGE ? Math.min(least, answered) : least),
    Infinity,
  );
  const life = seen.filter(({ age, asked }) => age < GONE_AGE || asked >= born);
  const byAnswer = [...life].sort((one, other) => one.answered - other.answered);
  let at = 0;
  let oldest: Seen | undefined;
  for (const one of [...life].sort((first, other) => first.asked - other.asked)) {
    for (let next = byAnswer[at]; next !== undefined && next.answered <= one.asked; next = byAnswer[++at])
      if (next !== one && next.age >= (oldest?.age ?? 0)) oldest = next;
    if (oldest !== undefined && one.age < oldest.age) return { from: oldest.state, to: one.state };
  }
  return undefined;
}
