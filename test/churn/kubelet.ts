import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { status as codes, type ServiceError } from '@grpc/grpc-js';
import type { cri, Decoded } from '../../src/proto';
import { ContainerState, PodSandboxState } from '../../src/proto/enums';
import type { CriClient } from '../../src/server/client/cri-client';
import { TEST_IMAGE } from '../integration/support/engine';
import { criLog, engineLog, firstDifference } from './log-truth';
import { expectedLines, hungExecSeconds, scriptOf, type ContainerPlan, type LifePlan } from './plan';
import type { World } from './world';

/** A call's deadline (ms): shorter than kubelet's, so that hung calls reach it. */
const DEADLINE_MS = 20_000;
/** How much later than its deadline a call may be answered (ms). */
const GRACE_MS = 2_000;
/** A step that has no success for so long makes no progress (ms). */
const PATIENCE_MS = 240_000;
/** Between two tries, as kubelet's back-off of pod workers, only shorter (ms). */
const BACK_OFF_MS = 300;
const GRACE_OF_STOP_S = 1;

type Method = Parameters<CriClient['call']>[0];

interface Sandbox {
  readonly id: string;
  readonly attempt: number;
}

interface Running {
  readonly id: string;
  readonly plan: ContainerPlan;
  readonly logPath: string;
  /** Changes of the Engine that it may have been killed by are counted from here. */
  readonly engineGeneration: number;
}

/** The pod was lost, by a restart of dockerd for instance: kubelet makes the next attempt of it. */
class PodLost extends Error {}

/** What the driver has been told, for the invariants. */
export interface Ledger {
  /** Sandboxes and containers whose removal was acknowledged. */
  readonly removed: Set<string>;
  /** Sandboxes in use, with their containers in use. */
  readonly live: Map<string, Set<string>>;
  readonly calls: Record<string, number>;
  readonly failures: Record<string, number>;
  /** Exited containers whose log was compared with the Engine's. */
  logsCompared: number;
  linesCompared: number;
}

export function emptyLedger(): Ledger {
  return { removed: new Set(), live: new Map(), calls: {}, failures: {}, logsCompared: 0, linesCompared: 0 };
}

/** One pod's life as kubelet leads it: each step is repeated until it succeeds, and what is found is taken over. */
export class PodLife {
  private readonly name: string;
  private attempt = 0;
  private sandbox: Sandbox | undefined;

  constructor(
    private readonly world: World,
    private readonly ledger: Ledger,
    private readonly plan: LifePlan,
  ) {
    this.name = `life-${plan.number}`;
  }

  /** Up to the point where all containers have done what they do; the pod stays. */
  async grow(): Promise<void> {
    await mkdir(this.logDirectory(), { recursive: true });
    for (;;) {
      try {
        const sandbox = await this.ensureSandbox();
        const containers: Running[] = [];
        for (const plan of this.plan.containers) containers.push(await this.ensureContainer(sandbox, plan));
        for (const container of containers) await this.use(sandbox, container);
        for (const container of containers)
          if (container.plan.exitCode !== undefined) await this.expectEnd(sandbox, container);
        return;
      } catch (error) {
        if (!(error instanceof PodLost)) throw error;
        await this.abandon();
      }
    }
  }

  /** Stops and removes the pod. */
  async end(): Promise<void> {
    const { sandbox } = this;
    if (sandbox === undefined) return;
    const { client } = this.world;
    const listed = await this.insist('ListContainers', () =>
      client.call('ListContainers', { filter: { pod_sandbox_id: sandbox.id } }, DEADLINE_MS),
    );
    for (const { id, metadata, state } of listed.containers) {
      const plan = this.plan.containers.find(({ name }) => name === metadata?.name);
      if (plan === undefined || state !== ContainerState.CONTAINER_RUNNING) continue;
      await this.stopContainer(sandbox, id, plan);
    }
    if (this.plan.removesContainers)
      for (const { id } of listed.containers) {
        await this.send('RemoveContainer', { container_id: id });
        this.ledger.removed.add(id);
      }
    await this.removeSandbox(
      sandbox.id,
      listed.containers.map(({ id }) => id),
    );
    this.sandbox = undefined;
  }

  private logDirectory(): string {
    return join(this.world.daemon.logDirectory, this.name);
  }

  private config(): cri.IPodSandboxConfig {
    const { hostPort, number } = this.plan;
    return {
      metadata: { name: this.name, uid: `uid-${this.name}`, namespace: 'churn', attempt: this.attempt },
      hostname: this.name,
      log_directory: this.logDirectory(),
      labels: { 'io.kubernetes.pod.uid': `uid-${this.name}`, life: String(number) },
      linux: {},
      port_mappings: hostPort === undefined ? [] : [{ container_port: 80, host_port: hostPort }],
    };
  }

  private async ensureSandbox(): Promise<Sandbox> {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        const { pod_sandbox_id: id } = await this.attemptOnce('RunPodSandbox', (client) =>
          client.call('RunPodSandbox', { config: this.config() }, DEADLINE_MS),
        );
        return this.adopt({ id, attempt: this.attempt });
      } catch (error) {
        this.expectPatience(end, 'RunPodSandbox', error);
      }
      const found = await this.sandboxes();
      const ready = found.find(({ state }) => state === PodSandboxState.SANDBOX_READY);
      if (ready !== undefined) {
        this.attempt = ready.metadata?.attempt ?? 0;
        return this.adopt({ id: ready.id, attempt: this.attempt });
      }
      for (const { id } of found) await this.send('StopPodSandbox', { pod_sandbox_id: id });
      if (found.length > 0)
        this.attempt = 1 + Math.max(...found.map(({ metadata }) => metadata?.attempt ?? 0));
    }
  }

  private adopt(sandbox: Sandbox): Sandbox {
    this.sandbox = sandbox;
    this.ledger.live.set(sandbox.id, this.ledger.live.get(sandbox.id) ?? new Set());
    return sandbox;
  }

  private async sandboxes(): Promise<readonly Decoded<cri.IPodSandbox>[]> {
    const filter = { label_selector: { life: String(this.plan.number) } };
    const { items } = await this.insist('ListPodSandbox', () =>
      this.world.client.call('ListPodSandbox', { filter }, DEADLINE_MS),
    );
    return items;
  }

  private async ensureContainer(sandbox: Sandbox, plan: ContainerPlan): Promise<Running> {
    const config = this.config();
    for (let attempt = 0, end = Date.now() + PATIENCE_MS; ;) {
      const log_path = `${plan.name}-${sandbox.attempt}-${attempt}.log`;
      const { engineGeneration } = this.world;
      const running = (id: string): Running => {
        this.ledger.live.get(sandbox.id)?.add(id);
        return { id, plan, logPath: join(this.logDirectory(), log_path), engineGeneration };
      };
      try {
        const { container_id } = await this.attemptOnce('CreateContainer', (client) =>
          client.call(
            'CreateContainer',
            {
              pod_sandbox_id: sandbox.id,
              sandbox_config: config,
              config: {
                metadata: { name: plan.name, attempt },
                image: { image: TEST_IMAGE },
                command: ['/bin/sh', '-c', scriptOf(plan)],
                labels: { life: String(this.plan.number) },
                log_path,
                linux: {},
              },
            },
            DEADLINE_MS,
          ),
        );
        await this.attemptOnce('StartContainer', (client) =>
          client.call('StartContainer', { container_id }, DEADLINE_MS),
        );
        return running(container_id);
      } catch (error) {
        this.expectPatience(end, `CreateContainer and StartContainer of ${plan.name}`, error);
      }
      await this.expectReady(sandbox);
      const { containers } = await this.insist('ListContainers', () =>
        this.world.client.call('ListContainers', { filter: { pod_sandbox_id: sandbox.id } }, DEADLINE_MS),
      );
      const mine = containers.filter(({ metadata }) => metadata?.name === plan.name);
      const attempts = mine.map(({ metadata }) => metadata?.attempt ?? 0);
      if (new Set(attempts).size !== attempts.length)
        this.world.violate(`${this.name}: container ${plan.name} is listed twice with one attempt`);
      const newest = mine.find(({ metadata }) => metadata?.attempt === Math.max(...attempts));
      // kubelet starts no container that it finds created: it makes the next one.
      if (newest?.state === ContainerState.CONTAINER_RUNNING && newest.metadata?.attempt === attempt)
        return running(newest.id);
      if (newest?.state === ContainerState.CONTAINER_EXITED && newest.metadata?.attempt === attempt)
        return running(newest.id);
      if (newest !== undefined) attempt = (newest.metadata?.attempt ?? 0) + 1;
    }
  }

  private async use(sandbox: Sandbox, container: Running): Promise<void> {
    const { plan, id, logPath } = container;
    if (plan.exec) await this.execEcho(sandbox, id);
    if (plan.hungExec) await this.execHung(sandbox, id);
    if (plan.update) await this.update(sandbox, id);
    if (plan.rotate) await this.rotate(sandbox, id, logPath);
  }

  private async execEcho(sandbox: Sandbox, container_id: string): Promise<void> {
    const word = `echo-${this.plan.number}`;
    const reply = await this.insistOn(sandbox, 'ExecSync', (client) =>
      client.call(
        'ExecSync',
        { container_id, cmd: ['sh', '-c', `echo ${word}; exit 7`], timeout: 10 },
        DEADLINE_MS,
      ),
    );
    const got = `${reply.exit_code} ${Buffer.from(reply.stdout).toString()}`;
    if (got !== `7 ${word}\n`) this.world.violate(`${this.name}: ExecSync answered "${got}"`);
  }

  private async execHung(sandbox: Sandbox, container_id: string): Promise<void> {
    const cmd = ['sleep', hungExecSeconds(this.plan.number)];
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        await this.attemptOnce('ExecSync', (client) =>
          client.call('ExecSync', { container_id, cmd, timeout: 1 }, DEADLINE_MS),
        );
        this.world.violate(`${this.name}: an ExecSync of a command that never ends answered OK`);
        return;
      } catch (error) {
        if ((error as ServiceError).code === codes.DEADLINE_EXCEEDED) return;
        this.expectPatience(end, 'ExecSync', error);
      }
      await this.expectReady(sandbox);
    }
  }

  private async update(sandbox: Sandbox, container_id: string): Promise<void> {
    const cpu_shares = 512;
    await this.insistOn(sandbox, 'UpdateContainerResources', (client) =>
      client.call('UpdateContainerResources', { container_id, linux: { cpu_shares } }, DEADLINE_MS),
    );
    const { status } = await this.insistOn(sandbox, 'ContainerStatus', (client) =>
      client.call('ContainerStatus', { container_id }, DEADLINE_MS),
    );
    const shown = status?.resources?.linux?.cpu_shares.toString() ?? 'none';
    if (shown !== String(cpu_shares))
      this.world.violate(`${this.name}: an update to ${cpu_shares} shares shows ${shown}`);
  }

  /** As kubelet rotates: rename, reopen; the name is given back when the reopening fails. */
  private async rotate(sandbox: Sandbox, container_id: string, logPath: string): Promise<void> {
    const rotated = `${logPath}.20260101-000000`;
    await this.insistOn(sandbox, 'ReopenContainerLog', async (client) => {
      await rename(logPath, rotated);
      try {
        return await client.call('ReopenContainerLog', { container_id }, DEADLINE_MS);
      } catch (error) {
        const { status } = await client.call('ContainerStatus', { container_id }, DEADLINE_MS);
        // kubelet does not rotate the log of a container that has ended.
        const isOver = status?.state !== ContainerState.CONTAINER_RUNNING;
        await rename(rotated, logPath);
        if (isOver) return {};
        throw error;
      }
    });
  }

  private async expectEnd(sandbox: Sandbox, { id, plan, logPath, engineGeneration }: Running): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      const { status } = await this.insistOn(sandbox, 'ContainerStatus', (client) =>
        client.call('ContainerStatus', { container_id: id }, DEADLINE_MS),
      );
      if (status?.state === ContainerState.CONTAINER_EXITED) {
        const disturbed = engineGeneration !== this.world.engineGeneration;
        if (status.exit_code !== plan.exitCode && !disturbed)
          this.world.violate(
            `${this.name} ${plan.name}: exit code ${status.exit_code}, not ${plan.exitCode ?? -1}`,
          );
        await this.compareLog(id, plan, logPath, disturbed ? 'disturbed' : 'complete');
        return;
      }
      this.expectPatience(end, `the end of ${plan.name}`, new Error(`it is in state ${status?.state ?? -1}`));
      await delay(BACK_OFF_MS);
    }
  }

  private async stopContainer(sandbox: Sandbox, container_id: string, plan: ContainerPlan): Promise<void> {
    await this.send('StopContainer', { container_id, timeout: GRACE_OF_STOP_S });
    const { status } = await this.insist('ContainerStatus', () =>
      this.world.client.call('ContainerStatus', { container_id }, DEADLINE_MS),
    );
    if (status?.state !== ContainerState.CONTAINER_EXITED)
      this.world.violate(`${this.name} ${plan.name}: state ${status?.state ?? -1} after StopContainer`);
    if (status !== null && this.ledger.live.get(sandbox.id)?.has(container_id) === true)
      await this.compareLog(container_id, plan, status.log_path, 'stopped');
  }

  /** The CRI log of a container that has ended holds what the Engine kept, each line once and in order. */
  private async compareLog(
    id: string,
    plan: ContainerPlan,
    logPath: string,
    how: 'complete' | 'stopped' | 'disturbed',
  ): Promise<void> {
    const got = await criLog(logPath);
    await this.world.calm;
    const kept = await engineLog(this.world.engine.dockerHost, id).catch(() => undefined);
    for (const stream of ['stdout', 'stderr'] as const) {
      const all = expectedLines(plan, stream);
      // A dockerd that is killed may lose what it had read: then the lines are those up to some point.
      const wanted =
        how === 'complete'
          ? all
          : how === 'stopped'
            ? (kept?.[stream] ?? all)
            : all.slice(0, got[stream].length);
      const difference = firstDifference(got[stream], wanted);
      if (difference !== undefined)
        this.world.violate(
          `${this.name} ${plan.name} (${id.slice(0, 12)}, ${how}): ${stream}: ${difference}`,
        );
      if (kept !== undefined && got[stream].length < kept[stream].length)
        this.world.violate(
          `${this.name} ${plan.name} (${id.slice(0, 12)}, ${how}): ${stream}: ${got[stream].length} of the Engine's ${kept[stream].length} lines`,
        );
      this.ledger.linesCompared += got[stream].length;
    }
    this.ledger.logsCompared++;
  }

  /** Gives the pod up, as kubelet does with a sandbox that is not ready: the next attempt takes its place. */
  private async abandon(): Promise<void> {
    const { sandbox } = this;
    this.sandbox = undefined;
    if (sandbox !== undefined) this.ledger.live.delete(sandbox.id);
    for (const { id } of await this.sandboxes()) {
      await this.send('StopPodSandbox', { pod_sandbox_id: id });
      await this.removeSandbox(id, []);
    }
    this.attempt++;
  }

  private async removeSandbox(pod_sandbox_id: string, containers: readonly string[]): Promise<void> {
    await this.send('StopPodSandbox', { pod_sandbox_id });
    await this.send('RemovePodSandbox', { pod_sandbox_id });
    for (const id of [pod_sandbox_id, ...containers]) this.ledger.removed.add(id);
    this.ledger.live.delete(pod_sandbox_id);
  }

  private async expectReady(sandbox: Sandbox): Promise<void> {
    const all = await this.sandboxes();
    const mine = all.find(({ id }) => id === sandbox.id);
    if (mine?.state !== PodSandboxState.SANDBOX_READY) throw new PodLost();
  }

  /** A call that only a lost pod may keep from succeeding. */
  private async insistOn<T>(
    sandbox: Sandbox,
    method: Method,
    call: (client: CriClient) => Promise<T>,
  ): Promise<T> {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        return await this.attemptOnce(method, call);
      } catch (error) {
        this.expectPatience(end, method, error);
        await this.expectReady(sandbox);
        if (
          (error as ServiceError).code === codes.FAILED_PRECONDITION ||
          (error as ServiceError).code === codes.NOT_FOUND
        ) {
          // The container may have been killed with dockerd, and its pod been restored.
          throw new PodLost();
        }
      }
    }
  }

  /** Stop and remove calls: they must succeed in the end, whatever there is. */
  private async send(
    method: 'StopPodSandbox' | 'RemovePodSandbox' | 'StopContainer' | 'RemoveContainer',
    request: object,
  ): Promise<void> {
    await this.insist(method, (client) => client.call(method, request, DEADLINE_MS));
  }

  private async insist<T>(method: Method, call: (client: CriClient) => Promise<T>): Promise<T> {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        return await this.attemptOnce(method, call);
      } catch (error) {
        this.expectPatience(end, method, error);
      }
    }
  }

  /** One call, counted; when it fails, after a pause and when no blow is under way any more. */
  private async attemptOnce<T>(method: Method, call: (client: CriClient) => Promise<T>): Promise<T> {
    await this.world.calm;
    const { calls, failures } = this.ledger;
    calls[method] = (calls[method] ?? 0) + 1;
    const begun = Date.now();
    try {
      return await call(this.world.client);
    } catch (error) {
      const code = codes[(error as ServiceError).code] as string | undefined;
      const name = `${method} ${code ?? String(error)}`;
      failures[name] = (failures[name] ?? 0) + 1;
      await delay(BACK_OFF_MS);
      await this.world.calm;
      throw error;
    } finally {
      const took = Date.now() - begun;
      if (took > DEADLINE_MS + GRACE_MS) this.world.violate(`${this.name}: ${method} took ${took} ms`);
    }
  }

  private expectPatience(end: number, what: string, error: unknown): void {
    if (Date.now() > end)
      throw new Error(`${this.name}: no progress with ${what} for ${PATIENCE_MS / 1000} s: ${String(error)}`);
  }
}
