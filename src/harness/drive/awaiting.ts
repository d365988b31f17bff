import { pause } from '../../lib/async/abortable';
import type { Bindings } from './bindings';
import type { Driven } from './endpoint';
import type { Allowance, Explained } from './explained';
import type { RecordedCall } from './recorded';
import type { Plan } from './replay-plan';
import { isLater, reportedIn, type Reported } from './reported-states';

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;
/** How many times slower than the recorded machine this machine may be. */
const SLOWER = 2;
/**
 * The longest time to wait for a state, not counting `--wait`. If a state took longer in the recording, most of this time was a pause of the
 * client. States that need the pause, such as the end of a container that ran for an hour, can be replayed with `--speed 1x`.
 */
const LONGEST_MS = 120_000;
/** The longest time to wait for the end of a difference that rules allow because it is brief. */
const BRIEF_MS = 3_000;

export interface AwaitingParts {
  readonly bindings: Bindings;
  readonly plan: Pick<Plan, 'made' | 'endsAlone'>;
  readonly explained: Explained;
  readonly waitMs: number;
}

export interface Reached {
  readonly driven: Driven;
  /** Whether the endpoint had already left the recorded state for a later one. */
  readonly isPassed: boolean;
}

/** `brief`: the answer is explained by a rule for a brief difference only. */
type Progress = 'there' | 'passed' | 'brief' | 'not yet';
const PROGRESS: Readonly<Record<Allowance, Progress>> = { none: 'not yet', brief: 'brief', lasting: 'there' };

type Reports = ReadonlyMap<string, Reported>;

/**
 * Repeats a polling call until the endpoint reports the recorded states or the time limit is reached. Only the code of the answer and the
 * states and the presence of pods and containers are awaited. The end of a difference that rules allow is awaited
 * only if the difference is brief, and then for a few seconds.
 */
export class Awaiting {
  /** The states of containers that the endpoint reported last, by the ids of the tape. */
  readonly #states = new Map<string, string>();

  /** The ids of the tape that each list contained so far, by the list's call and by side. */
  readonly #listed = new Map<string, { readonly tape: Set<string>; readonly live: Set<string> }>();

  constructor(private readonly parts: AwaitingParts) {}

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
    const began = performance.now();
    const end = began + this.parts.waitMs + Math.min(SLOWER * sinceMs, LONGEST_MS);
    const wanted = this.#wanted(call);
    for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
      const driven = await ask();
      if (driven === undefined) return undefined;
      const progress = this.#progress(call, wanted, driven);
      const limit = progress === 'brief' ? Math.min(began + BRIEF_MS, end) : end;
      if (progress === 'there' || performance.now() > limit || signal.aborted) {
        const { tape, live } = this.#listsOf(call);
        for (const id of wanted.keys()) tape.add(id);
        for (const id of this.#told(call.method, driven).keys()) live.add(id);
        return { driven, isPassed: false };
      }
      if (progress === 'passed') return { driven, isPassed: true };
      await pause(wait, signal);
    }
  }

  #progress(call: RecordedCall, wanted: Reports, driven: Driven): Progress {
    const { explained, plan } = this.parts;
    if (driven.status !== call.status) return PROGRESS[explained.status(call, call.status, driven.status)];
    const told = this.#told(call.method, driven);
    for (const [id, { state }] of told) if (state.startsWith('CONTAINER_')) this.#states.set(id, state);
    const { tape, live } = this.#listsOf(call);
    let isPassed = false;
    let isBrief = false;
    for (const id of new Set([...wanted.keys(), ...told.keys()])) {
      const [was, is] = [wanted.get(id), told.get(id)];
      const lacking = {
        isRunning: this.#states.get(id) === 'CONTAINER_RUNNING',
        wasListed: (is === undefined ? live : tape).has(id),
      };
      const allowance = was?.state === is?.state ? 'lasting' : explained.state(call, id, was, is, lacking);
      isBrief ||= allowance === 'brief';
      if (allowance !== 'none') continue;
      if (was === undefined || is === undefined) return 'not yet';
      if (!isLater(is.state, was.state) || !plan.endsAlone.has(id)) return 'not yet';
      isPassed = true;
    }
    if (isBrief) return 'brief';
    return isPassed ? 'passed' : 'there';
  }

  #listsOf({ method, request }: RecordedCall): { readonly tape: Set<string>; readonly live: Set<string> } {
    const key = `${method} ${JSON.stringify(request)}`;
    const lists = this.#listed.get(key) ?? { tape: new Set(), live: new Set() };
    this.#listed.set(key, lists);
    return lists;
  }

  /** Returns what the tape reports about pods and containers that also exist on the endpoint. */
  #wanted(call: RecordedCall): Reports {
    const { bindings } = this.parts;
    return this.#byId(reportedIn(call.method, call), (id) =>
      bindings.live(id) === undefined ? undefined : id,
    );
  }

  /** Returns what the endpoint reports, by the ids of the tape. */
  #told(method: string, driven: Driven): Reports {
    return this.#byId(reportedIn(method, driven), (id) => this.parts.bindings.recorded(id));
  }

  /**
   * Images are left out, because no runtime changes them later than its answer, and polls of images are made after the calls that change
   * images.
   */
  #byId(reported: readonly Reported[], idOf: (id: string) => string | undefined): Reports {
    return new Map(
      reported.flatMap((one): [string, Reported][] => {
        const id = idOf(one.id);
        return id !== undefined && this.parts.plan.made.has(id) ? [[id, one]] : [];
      }),
    );
  }
}
