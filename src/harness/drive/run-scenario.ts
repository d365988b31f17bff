import { pause } from '../../lib/async/abortable';
import { cancelled, messageOf, RuntimeError, unavailable } from '../../lib/errors';
import type { JsonObject } from '../../proto/fields';
import { asText, objectOf, textOf } from '../json';
import { requestType } from '../methods';
import type { Observation, ObservedCall } from '../observation';
import { Bindings } from './bindings';
import { Endpoint, type Driven } from './endpoint';
import { Images } from './images';
import { MAKING } from './method-kinds';
import { OwnPods } from './own-pods';
import { NotPossible, Requests } from './requests';
import type { Expected, Listed, Scenario, Step, Subject } from './scenario';
import { Scratch } from './scratch';
import { restricted, statesIn } from './reported-states';

export interface ScenarioOptions {
  /** The parent of the scratch directory; by default the system's temporary directory. */
  readonly scratch?: string | undefined;
  /** Names of images in the scenario → names on this endpoint. */
  readonly images?: ReadonlyMap<string, string>;
  /** Ends the run. Everything that it created is removed nevertheless. */
  readonly signal: AbortSignal;
}

export interface ScenarioRun {
  readonly observation: Observation;
  /** Which expectations were not met: one sentence each, beginning with the step's key. */
  readonly unmet: readonly string[];
  /** What could not be removed and why, one text each. */
  readonly left: readonly string[];
}

const VERSION_MS = 10_000;
const CALL_MS = 120_000;
const PULL_MS = 600_000;
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;

/**
 * Runs the steps of a scenario on an endpoint, one after the other, and removes everything that they created.
 * @throws FAILED_PRECONDITION, UNAVAILABLE and others if the run cannot start, the endpoint no longer answers, or the signal fires. The
 * message contains what could not be removed.
 */
export async function runScenario(
  address: string,
  scenario: Scenario,
  { scratch: parent, images = new Map(), signal }: ScenarioOptions,
): Promise<ScenarioRun> {
  const endpoint = new Endpoint(address);
  let scratch: Scratch | undefined;
  let own: OwnPods | undefined;
  try {
    const runtime = await endpoint.version(VERSION_MS).catch((error: unknown) => {
      throw unavailable(`${address} does not answer: ${messageOf(error)}`);
    });
    own = await OwnPods.on(
      endpoint,
      scenario.pods.map(({ config }) => config),
    );
    scratch = await Scratch.create(parent);
    const stage = new Stage(endpoint, scenario, own, scratch, images, signal);
    await stage.all();
    const left = [...(await own.remove()), ...(await scratch.remove())];
    own = undefined;
    return { observation: { source: address, runtime, calls: stage.observed() }, unmet: stage.unmet, left };
  } catch (error) {
    const left = [...((await own?.remove()) ?? []), ...((await scratch?.remove()) ?? [])];
    if (left.length === 0) throw error;
    const code = error instanceof RuntimeError ? error.code : 'UNKNOWN';
    throw new RuntimeError(code, `${messageOf(error)}; left behind on ${address}: ${left.join('; ')}`);
  } finally {
    endpoint.close();
  }
}

const LISTS: Readonly<Record<Listed, string>> = {
  ...{ pods: 'ListPodSandbox', containers: 'ListContainers', images: 'ListImages' },
  ...{ pod_stats: 'ListPodSandboxStats', container_stats: 'ListContainerStats' },
};

class Stage {
  readonly unmet: string[] = [];
  readonly #calls: ObservedCall[] = [];
  /** Names of pods and containers in the scenario → their ids on the endpoint. */
  readonly #ids = new Map<string, string>();
  readonly #requests: Requests;
  readonly #images: Images;
  /** The ids of the scenario's pods, containers and images. All other pods and containers are left out of the endpoint's answers. */
  readonly #known = new Bindings();
  readonly #began = performance.now();

  constructor(
    private readonly endpoint: Endpoint,
    private readonly scenario: Scenario,
    private readonly own: OwnPods,
    scratch: Scratch,
    images: ReadonlyMap<string, string>,
    private readonly signal: AbortSignal,
  ) {
    this.#images = new Images(endpoint, this.#known, images, []);
    this.#requests = new Requests(this.#known, this.#images, scratch);
  }

  async all(): Promise<void> {
    await this.#pullWhatIsMissing();
    for (const step of this.scenario.steps) await this.#step(step);
  }

  observed(): ObservedCall[] {
    const keep = (id: string): boolean => this.#known.recorded(id) !== undefined;
    const mapped = (message: JsonObject): JsonObject => this.#requests.asRecorded(message);
    return this.#calls.map(({ request, response, ...call }) => ({
      ...{ ...call, request: mapped(request) },
      ...(response === undefined ? {} : { response: mapped(restricted(response, keep)) }),
    }));
  }

  async #pullWhatIsMissing(): Promise<void> {
    const images = this.scenario.pods.flatMap(({ containers }) =>
      [...containers.values()].flatMap(({ image }) => textOf(objectOf(image).image) ?? []),
    );
    for (const name of new Set(images)) {
      if ((await this.#images.idFor(name)) !== undefined) continue;
      const image = await this.#images.nameFor(name);
      const driven = await this.#call('PullImage', { image: { image } }, undefined, PULL_MS);
      if (driven.status !== 'OK')
        throw unavailable(
          `${this.endpoint.address} has no image ${image} and cannot pull it: ${driven.details ?? driven.status}`,
        );
      this.own.pulled(image);
    }
  }

  async #step(step: Step): Promise<void> {
    this.signal.throwIfAborted();
    const { key, kind } = step;
    if (kind === 'list') {
      await this.#call(LISTS[step.what], {}, undefined);
      return;
    }
    const { of } = step;
    const name = nameOf(of);
    if (kind !== 'run' && kind !== 'create' && !this.#ids.has(name)) {
      this.unmet.push(`${key}: ${kind} ${name}: it was not created`);
      return;
    }
    try {
      if (kind === 'status' && step.until !== undefined) await this.#until(step, step.until);
      else {
        const [method, request] = this.#request(step);
        const driven = await this.#call(method, request, of);
        if (kind === 'run' || kind === 'create') this.#made(of, driven);
        // Failed stats are left to the comparison, whose rules may allow the failure. No later step needs them.
        if (driven.status !== 'OK' && kind !== 'stats')
          this.#unmet(step, `${driven.status}: ${driven.details ?? ''}`);
        else if (kind === 'exec' && step.expected !== undefined) this.#check(step, step.expected, driven);
      }
    } catch (error) {
      if (!(error instanceof NotPossible)) throw error;
      this.#unmet(step, error.message);
    }
  }

  #request(step: Exclude<Step, { kind: 'list' }>): readonly [method: string, request: JsonObject] {
    const { of, kind } = step;
    const id = this.#ids.get(nameOf(of)) ?? '';
    const isPod = of.container === undefined;
    const its: JsonObject = isPod ? { pod_sandbox_id: id } : { container_id: id };
    const pod = this.scenario.pods.find(({ name }) => name === of.pod);
    const config = pod?.config ?? {};
    switch (kind) {
      case 'run':
        return ['RunPodSandbox', { config, runtime_handler: pod?.runtimeHandler ?? '' }];
      case 'create': {
        const container = pod?.containers.get(of.container ?? '') ?? {};
        const pod_sandbox_id = this.#ids.get(of.pod);
        if (pod_sandbox_id === undefined) throw new NotPossible('its pod was not created');
        const name = textOf(objectOf(container.image).image) ?? '';
        const image = { user_specified_image: name, ...objectOf(container.image) };
        return [
          'CreateContainer',
          { pod_sandbox_id, config: { ...container, image }, sandbox_config: config },
        ];
      }
      case 'start':
        return ['StartContainer', its];
      case 'exec':
        return ['ExecSync', { ...its, cmd: step.cmd, timeout: step.timeout }];
      case 'status':
        return [isPod ? 'PodSandboxStatus' : 'ContainerStatus', its];
      case 'stats':
        return [isPod ? 'PodSandboxStats' : 'ContainerStats', its];
      case 'stop':
        return isPod ? ['StopPodSandbox', its] : ['StopContainer', { ...its, timeout: step.timeout }];
      case 'remove':
        return [isPod ? 'RemovePodSandbox' : 'RemoveContainer', its];
    }
  }

  async #until(step: Step & { kind: 'status' }, state: string): Promise<void> {
    const [method, request] = this.#request(step);
    const end = performance.now() + step.withinMs;
    for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
      const driven = await this.#drive(method, request);
      // The answer about a pod can also contain the states of its containers.
      const id = this.#ids.get(nameOf(step.of));
      const [, now] = statesIn(method, driven).find(([of]) => of === id) ?? ['', driven.status];
      if (now === state || performance.now() > end) {
        this.#observe(method, request, step.of, driven);
        if (now !== state) this.#unmet(step, `it is ${now} after ${step.withinMs} ms, expected ${state}`);
        return;
      }
      await pause(wait, this.signal);
      this.signal.throwIfAborted();
    }
  }

  #made(of: Subject, { response }: Driven): void {
    const id = textOf(of.container === undefined ? response?.pod_sandbox_id : response?.container_id);
    if (id === undefined) return;
    this.#ids.set(nameOf(of), id);
    this.#known.bind(id, id);
  }

  #check(step: Step & { kind: 'exec' }, { exitCode, stdout, stderr }: Expected, { response }: Driven): void {
    const code = response?.exit_code ?? 0;
    if (code !== exitCode) this.#unmet(step, `it ended with exit code ${asText(code)}, expected ${exitCode}`);
    for (const [name, wanted] of Object.entries({ stdout, stderr })) {
      const text = Buffer.from(textOf(response?.[name]) ?? '', 'base64').toString();
      if (wanted !== undefined && wanted !== text)
        this.#unmet(step, `${name} is ${JSON.stringify(text)}, expected ${JSON.stringify(wanted)}`);
    }
  }

  async #call(
    method: string,
    asGiven: JsonObject,
    of: Subject | undefined,
    deadlineMs = CALL_MS,
  ): Promise<Driven> {
    const request = await this.#requests.for(method, requestType(method), asGiven);
    const driven = await this.#drive(method, request, deadlineMs);
    this.#observe(method, request, of, driven);
    return driven;
  }

  /** Makes a call. @throws if the signal fired or the endpoint no longer answers. */
  async #drive(method: string, request: JsonObject, deadlineMs = CALL_MS): Promise<Driven> {
    const signal = MAKING.has(method) ? undefined : this.signal;
    const call = async (): Promise<Driven> => this.endpoint.call(method, request, { deadlineMs, signal });
    const driven = await (method === 'RunPodSandbox'
      ? this.own.making(objectOf(request.config), call)
      : call());
    if (this.signal.aborted) throw cancelled('the scenario was interrupted');
    if (driven.status === 'UNAVAILABLE') {
      await this.endpoint.version(VERSION_MS).catch((error: unknown) => {
        throw unavailable(
          `${this.endpoint.address} stopped answering during the scenario: ${messageOf(error)}`,
        );
      });
    }
    return driven;
  }

  #observe(method: string, request: JsonObject, of: Subject | undefined, driven: Driven): void {
    const pod = this.scenario.pods.find(({ name }) => name === of?.pod)?.config;
    const { namespace = '', name = '' } = objectOf(pod?.metadata);
    this.#calls.push({
      ...{ n: this.#calls.length + 1, method, request, ...driven },
      t: Math.max(0, Number(((performance.now() - this.#began - driven.ms) / 1000).toFixed(6))),
      ...(pod === undefined ? {} : { pod: `${asText(namespace)}/${asText(name)}` }),
      ...(of?.container === undefined ? {} : { container: of.container }),
    });
  }

  #unmet({ key, ...step }: Exclude<Step, { kind: 'list' }>, why: string): void {
    this.unmet.push(`${key}: ${step.kind} ${nameOf(step.of)}: ${why}`);
  }
}

function nameOf({ pod, container }: Subject): string {
  return container === undefined ? pod : `${pod}/${container}`;
}
