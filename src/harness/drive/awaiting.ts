import { pause } from '../../lib/async/abortable';
import type { Bindings } from './bindings';
import type { Driven } from './endpoint';
import type { RecordedCall } from './recorded';
import { isLater, statesIn } from './reported-states';

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;
/** How many times slower than the recorded machine this machine may be. */
const SLOWER = 2;
/**
 * The longest time to wait for a state, not counting `--wait`. If a state took longer in the recording, most of this time was a pause of the
 * client. States that need the pause, such as the end of a container that ran for an hour, can be replayed with `--speed 1x`.
 */
const LONGEST_MS = 120_000;

export interface Reached {
  readonly driven: Driven;
  /** Whether the endpoint had already left the recorded state for a later one. */
  readonly isPassed: boolean;
}

/** Repeats a polling call until the endpoint reports the recorded state or the time limit is reached. */
export class Awaiting {
  constructor(
    private readonly bindings: Bindings,
    private readonly endsAlone: ReadonlySet<string>,
    private readonly waitMs: number,
  ) {}

  /**
   * @param sinceMs the time in the recording from the last change to this call, ms.
   * @param ask makes the call once; its result is undefined if the call cannot be made.
   * @returns the last answer; undefined if the call cannot be made.
   */
  async reach(
    call: RecordedCall,
    sinceMs: number,
    signal: AbortSignal,
    ask: () => Promise<Driven | undefined>,
  ): Promise<Reached | undefined> {
    const end = performance.now() + this.waitMs + Math.min(SLOWER * sinceMs, LONGEST_MS);
    const wanted = this.#wanted(call);
    for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
      const driven = await ask();
      if (driven === undefined) return undefined;
      const told = this.#told(call.method, driven);
      const isSame = driven.status === call.status && isEqual(wanted, told);
      if (isSame || performance.now() > end || signal.aborted) return { driven, isPassed: false };
      if (driven.status === call.status && this.#isPassed(wanted, told)) return { driven, isPassed: true };
      await pause(wait, signal);
    }
  }

  /** Returns the states on the tape, for pods and containers that also exist on the endpoint. */
  #wanted(call: RecordedCall): ReadonlyMap<string, string> {
    return new Map(statesIn(call.method, call).filter(([id]) => this.bindings.live(id) !== undefined));
  }

  /** Returns the states on the endpoint, by the ids of the tape. */
  #told(method: string, driven: Driven): ReadonlyMap<string, string> {
    return new Map(
      statesIn(method, driven).flatMap(([id, state]): [string, string][] => {
        const recorded = this.bindings.recorded(id);
        return recorded === undefined ? [] : [[recorded, state]];
      }),
    );
  }

  /** Returns whether all states that differ are later states of containers that end by themselves. */
  #isPassed(wanted: ReadonlyMap<string, string>, told: ReadonlyMap<string, string>): boolean {
    if (wanted.size !== told.size) return false;
    return [...wanted].every(([id, state]) => {
      const now = told.get(id);
      return now === state || (now !== undefined && isLater(now, state) && this.endsAlone.has(id));
    });
  }
}

function isEqual(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([id, state]) => other.get(id) === state);
}
