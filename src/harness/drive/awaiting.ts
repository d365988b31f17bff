import { pause } from '../../lib/async/abortable';
import type { Bindings } from './bindings';
import type { Driven } from './endpoint';
import type { RecordedCall } from './recorded';
import { isLater, statesIn } from './states';

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;
/** A slow machine may need so many times what the recorded one needed. */
const SLOWER = 2;
/**
 * Most of a longer time in the recording was the client's pause, and not the runtime's work. What needs the pause, such as a container
 * that runs for an hour, can be replayed with `--speed 1x`.
 */
const LONGEST_MS = 120_000;

export interface Reached {
  readonly driven: Driven;
  /** The state was over before it could be asked for, as it was in the recording a little later. */
  readonly isPassed: boolean;
}

/** Asks an endpoint again until it tells the state that the recording has, or the time for it is over. */
export class Awaiting {
  constructor(
    private readonly bindings: Bindings,
    private readonly endsAlone: ReadonlySet<string>,
    private readonly waitMs: number,
  ) {}

  /**
   * @param sinceMs how long the recorded runtime had taken for it.
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

  /** States of the tape, of what the endpoint has too. */
  #wanted(call: RecordedCall): ReadonlyMap<string, string> {
    return new Map(statesIn(call.method, call).filter(([id]) => this.bindings.live(id) !== undefined));
  }

  /** States of the endpoint, by the ids of the tape. */
  #told(method: string, driven: Driven): ReadonlyMap<string, string> {
    return new Map(
      statesIn(method, driven).flatMap(([id, state]): [string, string][] => {
        const recorded = this.bindings.recorded(id);
        return recorded === undefined ? [] : [[recorded, state]];
      }),
    );
  }

  /** Whether what differs are later states of containers that end by themselves. */
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
