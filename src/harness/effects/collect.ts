import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mapLimited } from '../../lib/async/concurrency';
import { messageOf } from '../../lib/errors';
import type { cri } from '../../proto';
import { ContainerState } from '../../proto/enums';
import type { CriClient } from '../../server/client/cri-client';
import { CODES } from '../proxy/status';
import { probedEffects, withoutNames, type Names } from './assemble';
import type { ContainerEffects, EffectValue, SeenRuntime } from './effect';
import { logEffects } from './log-effects';
import { namespaceEffects } from './namespace-effects';
import { probe, type Container, type Sections } from './probe';
import { containerRequest, ENDED_BY, isOfRun, podRequest, READY } from './effect-requests';
import {
  effectsScenario,
  SCRATCH_DIRECTORIES,
  SCRATCH_FILES,
  type ScenarioContainer,
  type ScenarioPod,
} from './effect-scenario';

export type Client = Pick<CriClient, 'call'>;

export interface CollectOptions {
  /** The address of the runtime, for reports. */
  readonly source: string;
  readonly image: string;
  /** A directory that the runtime sees at the same path. Everything that is created in it is removed at the end. */
  readonly scratchRoot: string;
  /** Ends the run. The pods are removed nevertheless. */
  readonly signal?: AbortSignal;
  /** Called with the name of each pod when it is done, whether it was examined or refused. */
  readonly onPod?: (pod: string) => void;
  /** Called with a sentence when the runtime refuses a pod or a container. */
  readonly onNote?: (text: string) => void;
  /** Called with a sentence about what may be left behind: a pod that could not be removed, or pods that could not be listed. */
  readonly onLeft?: (text: string) => void;
  /** Replaces the scenario, so that tests can create differences. */
  readonly scenario?: (scratch: string) => readonly ScenarioPod[];
}

/** How many pods exist at the same time: enough that one is examined while others wait, and few enough for a small node. */
const CONCURRENCY = 3;
const PULL_MS = 600_000;
const EXEC_SECONDS = 60;
const STOP_SECONDS = 20;
/** How long a container may take to write an expected line, and the runtime to copy this line into the log. */
const LOG_MS = 30_000;
const POLL_MS = 50;
/** Codes that mean that the runtime does not answer, not that it refuses the request. */
const GONE: ReadonlySet<string> = new Set(['UNAVAILABLE', 'CANCELLED']);

/**
 * Creates the pods of the scenario on a runtime, examines what their containers were given, and removes the pods.
 * @throws the runtime's error if it does not answer or cannot pull the image; Error if no container starts or one cannot be examined.
 */
export async function collectEffects(client: Client, options: CollectOptions): Promise<SeenRuntime> {
  const { source, image, scratchRoot, scenario = effectsScenario } = options;
  const { runtime_name: name, runtime_version: version } = await client.call('Version', {});
  const id = await ensureImage(client, image);
  const scratch = await mkdtemp(join(scratchRoot, 'dockbridge-effects-'));
  try {
    await fill(scratch);
    const run = new Run(client, scratch, { reference: image, id }, await nodeNamespaces(), options);
    const containers = await mapLimited(scenario(scratch), CONCURRENCY, async (pod) => {
      const seen = await run.pod(pod);
      options.onPod?.(pod.name);
      return seen;
    }).finally(async () => run.removeUnnamed());
    if (!run.hasStarted) throw new Error(`no container of the scenario started: ${run.refusals[0] ?? ''}`);
    return { source, runtime: { name, version }, containers: containers.flat() };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function ensureImage(client: Client, image: string): Promise<string> {
  const present = await client.call('ImageStatus', { image: { image } });
  if (present.image !== null) return present.image.id;
  return (await client.call('PullImage', { image: { image } }, PULL_MS)).image_ref;
}

async function fill(scratch: string): Promise<void> {
  for (const name of SCRATCH_DIRECTORIES) await mkdir(join(scratch, name), { recursive: true, mode: 0o755 });
  for (const name of SCRATCH_FILES) {
    await mkdir(dirname(join(scratch, name)), { recursive: true });
    await writeFile(join(scratch, name), '192.0.2.1 from-the-scenario\n');
  }
}

async function nodeNamespaces(): Promise<Map<string, string>> {
  const kinds = await readdir('/proc/self/ns');
  return new Map(
    await mapLimited(
      kinds,
      kinds.length,
      async (kind) => [kind, await readlink(`/proc/self/ns/${kind}`)] as const,
    ),
  );
}

interface Started {
  readonly container: ScenarioContainer;
  readonly id: string;
  readonly marker: string;
}

/** A container that the runtime refused. */
interface Refused {
  readonly container: ScenarioContainer;
  readonly refusal: string;
}

/** One run of the scenario. */
class Run {
  readonly #id = randomBytes(6).toString('hex');
  readonly refusals: string[] = [];
  /** Whether any container has started. If none has, there is nothing to compare. */
  hasStarted = false;
  /** How many RunPodSandbox calls returned no id. Such a call may have created a pod nevertheless, for example if it timed out. */
  private unnamed = 0;

  constructor(
    private readonly client: Client,
    private readonly scratch: string,
    private readonly image: { readonly reference: string; readonly id: string },
    private readonly node: ReadonlyMap<string, string>,
    private readonly options: CollectOptions,
  ) {}

  async pod(pod: ScenarioPod): Promise<ContainerEffects[]> {
    this.options.signal?.throwIfAborted();
    const config = podRequest(pod, this.#id, this.scratch);
    await mkdir(config.log_directory ?? '', { recursive: true });
    this.unnamed++;
    const made = await this.unlessRefused(pod.name, () => this.client.call('RunPodSandbox', { config }));
    if (typeof made === 'string')
      return pod.containers.map(({ name }) => told(pod, name, new Map([['pod starts', made]])));
    this.unnamed--;
    const { pod_sandbox_id } = made;
    try {
      return await this.containers(pod, config, pod_sandbox_id);
    } finally {
      await this.remove(config.metadata?.name ?? '', pod_sandbox_id);
    }
  }

  private async containers(
    pod: ScenarioPod,
    config: cri.IPodSandboxConfig,
    pod_sandbox_id: string,
  ): Promise<ContainerEffects[]> {
    const { status } = await this.client.call('PodSandboxStatus', { pod_sandbox_id });
    const network = status?.network;
    const addresses = [network?.ip ?? '', ...(network?.additional_ips.map(({ ip }) => ip) ?? [])];
    const started: (Started | Refused)[] = [];
    for (const container of pod.containers) started.push(await this.start(container, config, pod_sandbox_id));
    const running = started.filter((one) => 'id' in one);
    const sections: Sections[] = [];
    this.options.signal?.throwIfAborted();
    for (const one of running) sections.push(await this.look(one, config));
    const namespaces = namespaceEffects(sections, this.node);
    const seen = new Map<ScenarioContainer, Map<string, EffectValue>>();
    for (const [at, one] of running.entries()) {
      const names: Names = [
        [one.id, '<container>'],
        [pod_sandbox_id, '<pod>'],
        ...addresses.map((address, number) => [address, `<address ${number + 1}>`] as const),
        [this.scratch, '<scratch>'],
        [one.id.slice(0, 12), '<container>'],
        [pod_sandbox_id.slice(0, 12), '<pod>'],
      ];
      const effects = new Map<string, EffectValue>([
        ['starts', 'yes'],
        ...probedEffects(sections[at] ?? new Map(), basename(this.scratch)),
        ...(namespaces[at] ?? []),
        ...(await this.end(one, config)),
      ]);
      // The node's interfaces include those of all other pods.
      if (effects.get('namespace net') === 'node') effects.delete('interfaces');
      seen.set(one.container, withoutNames(effects, names));
    }
    return started.map((one) =>
      told(
        pod,
        one.container.name,
        'refusal' in one ? new Map([['starts', one.refusal]]) : (seen.get(one.container) ?? new Map()),
      ),
    );
  }

  private async start(
    container: ScenarioContainer,
    sandbox_config: cri.IPodSandboxConfig,
    pod_sandbox_id: string,
  ): Promise<Started | Refused> {
    const marker = `effects-${container.name}-${randomBytes(6).toString('hex')}`;
    const config = containerRequest(container, this.image, marker);
    const id = await this.unlessRefused(container.name, async () => {
      const { container_id } = await this.client.call('CreateContainer', {
        pod_sandbox_id,
        config,
        sandbox_config,
      });
      await this.client.call('StartContainer', { container_id });
      return { container_id };
    });
    if (typeof id === 'string') return { container, refusal: id };
    this.hasStarted = true;
    return { container, id: id.container_id, marker };
  }

  /** Waits until the container has written its READY line, and then examines the container. */
  private async look({ container, id, marker }: Started, config: cri.IPodSandboxConfig): Promise<Sections> {
    await this.logWith(READY, container, config);
    const inside: Container = {
      exec: async (command) => {
        const { stdout, stderr, exit_code } = await this.client.call('ExecSync', {
          ...{ container_id: id, cmd: [...command], timeout: EXEC_SECONDS },
        });
        const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
        return { stdout: text(stdout), stderr: text(stderr), exitCode: exit_code };
      },
    };
    try {
      return await probe(inside, marker);
    } catch (error) {
      throw new Error(`${container.name}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Stops the container, and returns how it ended and what its log contains. */
  private async end(
    { container, id }: Started,
    config: cri.IPodSandboxConfig,
  ): Promise<Map<string, EffectValue>> {
    await this.client.call('StopContainer', { container_id: id, timeout: STOP_SECONDS });
    const { status } = await this.client.call('ContainerStatus', { container_id: id });
    const isEnded = status?.state === ContainerState.CONTAINER_EXITED;
    const text = await this.logWith(ENDED_BY, container, config);
    return new Map<string, EffectValue>([
      [
        'end',
        isEnded ? `exit code ${status.exit_code}, ${status.reason}` : 'still running after StopContainer',
      ],
      ...logEffects(text),
    ]);
  }

  /** Returns the log as soon as it contains `word`, or its contents after LOG_MS. A missing line shows up as a difference. */
  private async logWith(
    word: string,
    { name }: ScenarioContainer,
    config: cri.IPodSandboxConfig,
  ): Promise<string> {
    const path = join(config.log_directory ?? '', `${name}.log`);
    const until = Date.now() + LOG_MS;
    for (;;) {
      this.options.signal?.throwIfAborted();
      const text = await readFile(path, 'latin1').catch(() => '');
      // The line break shows that the line is complete.
      const at = text.indexOf(word);
      if ((at !== -1 && text.includes('\n', at)) || Date.now() > until) return text;
      await delay(POLL_MS);
    }
  }

  /** Removes the pods of this run for which RunPodSandbox returned no id. Never rejects. */
  async removeUnnamed(): Promise<void> {
    if (this.unnamed === 0) return;
    try {
      const { items } = await this.client.call('ListPodSandbox', {});
      for (const { id, metadata } of items)
        if (isOfRun(metadata ?? {}, this.#id)) await this.remove(metadata?.name ?? '', id);
    } catch (error) {
      this.options.onLeft?.(
        `pods may exist for which RunPodSandbox returned no id, and they could not be listed or removed: ${messageOf(error)}`,
      );
    }
  }

  private async remove(pod: string, pod_sandbox_id: string): Promise<void> {
    // A failed stop is ignored, because CRI requires RemovePodSandbox to stop what is still running.
    await this.client.call('StopPodSandbox', { pod_sandbox_id }).catch(() => undefined);
    try {
      await this.client.call('RemovePodSandbox', { pod_sandbox_id });
    } catch (error) {
      this.options.onLeft?.(`pod ${pod} (${pod_sandbox_id}) could not be removed: ${messageOf(error)}`);
    }
  }

  /**
   * Runs `work`. If the runtime refuses, returns the code of the error as an effect; the text is left out, because it differs between
   * runtimes. @throws if the runtime does not answer.
   */
  private async unlessRefused<T extends object>(name: string, work: () => Promise<T>): Promise<T | string> {
    try {
      return await work();
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined || GONE.has(code)) throw error;
      const refusal = `${name} was refused: ${messageOf(error)}`;
      this.refusals.push(refusal);
      this.options.onNote?.(refusal);
      return `refused: ${code}`;
    }
  }
}

function told(pod: ScenarioPod, name: string, effects: ReadonlyMap<string, EffectValue>): ContainerEffects {
  return { container: `${pod.name}/${name}`, effects };
}

function codeOf(error: unknown): string | undefined {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'number' ? CODES[code] : undefined;
}
