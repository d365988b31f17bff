import { waitAtMost } from '../../lib/async/deadline';
import { counted } from '../../lib/counted';
import { RuntimeError, failedPrecondition, messageOf, unavailable } from '../../lib/errors';
import { Identities } from '../compare/identities';
import type { Rule } from '../compare/rule';
import { rulesFor } from '../compare/rules';
import type { Runtime } from '../compare/runtime-match';
import { withoutUnknown } from '../../proto/without-unknown';
import { objectOf } from '../json';
import { requestType } from '../methods';
import type { Observation, ObservedCall } from '../observation';
import { Bindings } from './bindings';
import { Endpoint } from './endpoint';
import { Explained } from './explained';
import { Images } from './images';
import { OwnPods } from './own-pods';
import { planOf, type Plan } from './replay-plan';
import type { RecordedCall, RecordedTape } from './recorded';
import { Requests } from './requests';
import { Run } from './run';
import { Scratch } from './scratch';
import { keptMessages, restricted } from './reported-states';

export interface ReplayOptions {
  /** `unix:///…` */
  readonly to: string;
  /** `1x` keeps the pauses of the recording; `max` leaves them out. */
  readonly speed: 'max' | '1x';
  /** The parent of the scratch directory; by default the system's temporary directory. */
  readonly scratch?: string | undefined;
  /** Names of images on the tape → names on the endpoint. */
  readonly images: ReadonlyMap<string, string>;
  /** The user's rules. With dockbridge's rules, they decide which differences the replay does not wait for. */
  readonly rules?: readonly Rule[] | undefined;
  /**
   * How long to wait for a recorded state in addition to the time that `Awaiting` derives from the recording, and for an answer in addition
   * to the recorded deadline, ms.
   */
  readonly waitMs: number;
  /** Ends the replay. Everything that it created is removed nevertheless. */
  readonly signal: AbortSignal;
}

export interface Replayed {
  /** The tape, reduced to what was replayed. */
  readonly recorded: Observation;
  readonly live: Observation;
  readonly skipped: readonly NotReplayed[];
  /** How many polling calls were left out because their answers reported nothing new. */
  readonly collapsed: number;
  /** Other remarks for the reader of the report, one sentence each. */
  readonly notes: readonly string[];
  /** What could not be removed and why, one text each. */
  readonly left: readonly string[];
}

export interface NotReplayed {
  readonly n: number;
  readonly method: string;
  readonly pod?: string;
  readonly why: string;
}

const VERSION_MS = 10_000;
/** How long the replay waits at its end for calls that create something, ms. */
const END_MS = 30_000;

/**
 * Makes the calls of a tape again on an endpoint (docs/harness.md), and removes everything that they created.
 * @param source the tape's name.
 * @throws FAILED_PRECONDITION, UNAVAILABLE and others if the replay cannot start, the endpoint no longer answers, or the signal fires. The
 * message contains what could not be removed.
 */
export async function replay(source: string, tape: RecordedTape, options: ReplayOptions): Promise<Replayed> {
  const plan = planOf(tape.calls);
  if (plan.calls.length === 0)
    throw failedPrecondition(`${source} has no call that can be replayed: ${firstReason(plan)}`);
  const endpoint = new Endpoint(options.to);
  let scratch: Scratch | undefined;
  let own: OwnPods | undefined;
  try {
    const runtime = await endpoint.version(VERSION_MS).catch((error: unknown) => {
      throw unavailable(`${options.to} does not answer: ${messageOf(error)}`);
    });
    const pods = plan.calls.filter(({ call }) => call.method === 'RunPodSandbox');
    own = await OwnPods.on(
      endpoint,
      pods.map(({ call }) => objectOf(call.request.config)),
    );
    scratch = await Scratch.create(options.scratch);
    const bindings = new Bindings();
    const images = new Images(endpoint, bindings, options.images, tape.calls);
    const requests = new Requests(bindings, images, scratch);
    const explained = explainedBy(options.rules ?? [], tape, runtime);
    const run = new Run({ ...options, plan, endpoint, own, bindings, images, requests, explained });
    const failure = await run.all().then(
      () => undefined,
      (error: unknown) => error,
    );
    // What a running call creates can be removed only after the call has ended.
    await waitAtMost('what is still running', END_MS, run.settled()).catch(() => undefined);
    if (failure !== undefined) throw failure as Error;
    const left = [...(await own.remove()), ...(await scratch.remove())];
    own = undefined;
    const keep = (id: string): boolean => bindings.live(id) !== undefined;
    return {
      recorded: {
        source,
        runtime: runtimeOf(tape),
        calls: run.replayed.map((call) => reduced(call, keep)),
      },
      live: { source: options.to, runtime, calls: run.observed() },
      skipped: [...plan.skipped, ...run.skipped].map(({ call, why }) => told(call, why)),
      collapsed: plan.collapsed,
      notes: notesOf(run, requests, tape),
      left,
    };
  } catch (error) {
    const left = [...((await own?.remove()) ?? []), ...((await scratch?.remove()) ?? [])];
    if (left.length === 0) throw error;
    const code = error instanceof RuntimeError ? error.code : 'UNKNOWN';
    throw new RuntimeError(code, `${messageOf(error)}; left behind on ${options.to}: ${left.join('; ')}`);
  } finally {
    endpoint.close();
  }
}

function runtimeOf({ head: { upstream } }: RecordedTape): Runtime {
  const { runtime_name: name = '', runtime_version: version = '' } = upstream;
  return { name, version };
}

function explainedBy(users: readonly Rule[], tape: RecordedTape, live: Runtime): Explained {
  const recorded = runtimeOf(tape);
  const identities = new Identities(tape.calls);
  return new Explained(rulesFor(recorded, live, users), recorded, live, (id) => identities.named(id));
}

function notesOf(
  { passed, late }: Run,
  { hidden, unknown, droppedGroups }: Requests,
  { problems }: RecordedTape,
): string[] {
  return [
    ...problems,
    ...(unknown === 0
      ? []
      : [
          `${counted(unknown, 'request was', 'requests were')} replayed without fields that this version does not know`,
        ]),
    ...(hidden.count === 0
      ? []
      : [
          `${counted(hidden.count, 'hidden value of the tape was', 'hidden values of the tape were')} replaced, so containers may behave differently`,
        ]),
    ...[...droppedGroups].map(
      (group) => `the control group ${group} does not exist on this machine and was left out`,
    ),
    ...(late === 0
      ? []
      : [
          `${counted(late, 'call', 'calls')} took longer than the recorded deadline, after which the client would have given up`,
        ]),
    ...(passed === 0
      ? []
      : [
          `${counted(passed, 'state was', 'states were')} over before the replay could poll, and cannot be compared`,
        ]),
  ];
}

function firstReason({ skipped }: Plan): string {
  const [first] = skipped;
  return first === undefined ? 'it has no calls' : `the first is ${first.call.method}, but ${first.why}`;
}

function told({ n, method, pod }: RecordedCall, why: string): NotReplayed {
  return { n, method, ...(pod === undefined ? {} : { pod }), why };
}

/** Returns a call of the tape without the pods and containers that were not replayed. */
function reduced(call: RecordedCall, keep: (id: string) => boolean): ObservedCall {
  const { n, t, ms, method, request, status, details, response, messages, pod, container } = call;
  return {
    ...{ n, t, ms, method, status, request: withoutUnknown(requestType(method), request) },
    ...(details === undefined ? {} : { details }),
    ...(response === undefined ? {} : { response: restricted(response, keep) }),
    ...(messages === undefined ? {} : { messages: keptMessages(method, messages, keep) }),
    ...(pod === undefined ? {} : { pod }),
    ...(container === undefined ? {} : { container }),
  };
}
