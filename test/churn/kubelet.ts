import { link, mkdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { status as codes, type ServiceError } from '@grpc/grpc-js';
import type { cri, Decoded } from '../../src/proto';
import { ContainerState, PodSandboxState } from '../../src/proto/enums';
import { TEST_IMAGE } from '../integration/support/engine';
import { BACK_OFF_MS, Caller, PATIENCE_MS, type Call, type Method } from './caller';
import type { Ledger } from './ledger';
import { criLog, engineLog, logIsWrong } from './log-truth';
import { hungExecSeconds, scriptOf, type ContainerPlan, type LifePlan } from './plan';
import { PodLost, type Running, type Sandbox } from './pod';
import type { World } from './world';

const GRACE_OF_STOP_S = 1;
/** The exit codes after SIGKILL or SIGTERM. */
const KILLED = [128 + 9, 128 + 15];

/**
 * Leads one pod's life as kubelet does: it repeats each step until it succeeds, and uses what already
 * exists.
 */
export class PodLife {
  private readonly name: string;
  private readonly caller: Caller;
  /** The containers of the sandbox that were started so far. */
  private readonly containers = new Map<string, Running>();
  private attempt = 0;
  private sandbox: Sandbox | undefined;

  constructor(
    private readonly world: World,
    private readonly ledger: Ledger,
    private readonly plan: LifePlan,
  ) {
    this.name = `life-${plan.number}`;
    this.caller = new Caller(world, ledger, this.name);
  }

  /** Runs the pod until all containers have done their work. The pod stays. */
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

  /** Makes a new attempt of the pod if faults have ended the pod. */
  async mend(): Promise<void> {
    const { sandbox } = this;
    if (sandbox === undefined) return;
    try {
      await this.expectReady(sandbox);
    } catch (error) {
      if (!(error instanceof PodLost)) throw error;
      await this.abandon();
      await this.grow();
    }
  }

  /** Stops and removes the pod. */
  async end(): Promise<void> {
    const { sandbox } = this;
    if (sandbox === undefined) return;
    const listed = await this.caller.insist('ListContainers', (client, limit) =>
      client.call('ListContainers', { filter: { pod_sandbox_id: sandbox.id } }, limit),
    );
    for (const { id, state } of listed.containers) {
      const container = this.containers.get(id);
      if (container !== undefined && state === ContainerState.CONTAINER_RUNNING)
        await this.stopContainer(container);
    }
    if (this.plan.removesContainers)
      for (const { id } of listed.containers) {
        await this.removeContainer(id);
      }
    await this.removeSandbox(sandbox.id);
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
        const { pod_sandbox_id: id } = await this.caller.once('RunPodSandbox', (client, limit) =>
          client.call('RunPodSandbox', { config: this.config() }, limit),
        );
        return this.adopt({ id, attempt: this.attempt });
      } catch (error) {
        this.caller.expectPatience(end, 'RunPodSandbox', error);
      }
      const found = await this.sandboxes();
      const ready = found.find(({ state }) => state === PodSandboxState.SANDBOX_READY);
      if (ready !== undefined) {
        this.attempt = ready.metadata?.attempt ?? 0;
        return this.adopt({ id: ready.id, attempt: this.attempt });
      }
      for (const { id } of found) await this.caller.send('StopPodSandbox', { pod_sandbox_id: id });
      if (found.length > 0)
        this.attempt = 1 + Math.max(...found.map(({ metadata }) => metadata?.attempt ?? 0));
    }
  }

  private adopt(sandbox: Sandbox): Sandbox {
    this.sandbox = sandbox;
    const { hostPort } = this.plan;
    this.ledger.created.set(sandbox.id, sandbox.id);
    this.ledger.live.set(sandbox.id, { containers: new Set(), hostPort });
    return sandbox;
  }

  private async sandboxes(): Promise<readonly Decoded<cri.IPodSandbox>[]> {
    const filter = { label_selector: { life: String(this.plan.number) } };
    const { items } = await this.caller.insist('ListPodSandbox', (client, limit) =>
      client.call('ListPodSandbox', { filter }, limit),
    );
    return items;
  }

  private async ensureContainer(sandbox: Sandbox, plan: ContainerPlan): Promise<Running> {
    const config = this.config();
    for (let attempt = 0, end = Date.now() + PATIENCE_MS; ;) {
      const log_path = `${plan.name}-${sandbox.attempt}-${attempt}.log`;
      const { engineGeneration } = this.world;
      const running = (id: string): Running => {
        const found = { id, plan, logPath: join(this.logDirectory(), log_path), engineGeneration };
        this.ledger.created.set(id, sandbox.id);
        this.ledger.live.get(sandbox.id)?.containers.add(id);
        this.containers.set(id, found);
        return found;
      };
      try {
        const { container_id } = await this.caller.once('CreateContainer', (client, limit) =>
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
            limit,
          ),
        );
        this.ledger.created.set(container_id, sandbox.id);
        await this.caller.once('StartContainer', (client, limit) =>
          client.call('StartContainer', { container_id }, limit),
        );
        return running(container_id);
      } catch (error) {
        this.caller.expectPatience(end, `CreateContainer and StartContainer of ${plan.name}`, error);
      }
      await this.expectReady(sandbox);
      const { containers } = await this.caller.insist('ListContainers', (client, limit) =>
        client.call('ListContainers', { filter: { pod_sandbox_id: sandbox.id } }, limit),
      );
      const mine = containers.filter(({ metadata }) => metadata?.name === plan.name);
      const attempts = mine.map(({ metadata }) => metadata?.attempt ?? 0);
      if (new Set(attempts).size !== attempts.length)
        this.world.violate(`${this.name}: container ${plan.name} is listed twice with one attempt`);
      const newest = mine.find(({ metadata }) => metadata?.attempt === Math.max(...attempts));
      // kubelet does not start a container that it finds in state created. It makes the next attempt.
      if (newest?.metadata?.attempt === attempt && (await this.hasRun(newest))) return running(newest.id);
      if (newest !== undefined) attempt = (newest.metadata?.attempt ?? 0) + 1;
    }
  }

  /** Returns whether a container runs, or has ended after a successful start. */
  private async hasRun({ id, state }: Decoded<cri.IContainer>): Promise<boolean> {
    if (state !== ContainerState.CONTAINER_EXITED) return state === ContainerState.CONTAINER_RUNNING;
    return (await this.caller.containerStatus(id))?.reason !== 'StartError';
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
    const reply = await this.insistOn(sandbox, 'ExecSync', (client, limit) =>
      client.call(
        'ExecSync',
        { container_id, cmd: ['sh', '-c', `echo ${word}; exit 7`], timeout: 10 },
        limit,
      ),
    );
    const got = `${reply.exit_code} ${Buffer.from(reply.stdout).toString()}`;
    if (got !== `7 ${word}\n`) this.world.violate(`${this.name}: ExecSync answered "${got}"`);
  }

  private async execHung(sandbox: Sandbox, container_id: string): Promise<void> {
    const cmd = ['sleep', hungExecSeconds(this.plan.number)];
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        await this.caller.once('ExecSync', (client, limit) =>
          client.call('ExecSync', { container_id, cmd, timeout: 1 }, limit),
        );
        this.world.violate(`${this.name}: an ExecSync of a command that never ends answered OK`);
        return;
      } catch (error) {
        if ((error as ServiceError).code === codes.DEADLINE_EXCEEDED) return;
        this.caller.expectPatience(end, 'ExecSync', error);
      }
      await this.expectReady(sandbox);
    }
  }

  private async update(sandbox: Sandbox, container_id: string): Promise<void> {
    const cpu_shares = 512;
    await this.insistOn(sandbox, 'UpdateContainerResources', (client, limit) =>
      client.call('UpdateContainerResources', { container_id, linux: { cpu_shares } }, limit),
    );
    const { status } = await this.insistOn(sandbox, 'ContainerStatus', (client, limit) =>
      client.call('ContainerStatus', { container_id }, limit),
    );
    const shown = status?.resources?.linux?.cpu_shares.toString() ?? 'none';
    if (shown !== String(cpu_shares))
      this.world.violate(`${this.name}: an update to ${cpu_shares} shares shows ${shown}`);
  }

  /**
   * Rotates as kubelet does: it renames the file, calls reopen, and renames the file back if that fails. It
   * does not rename back if the name is taken: a daemon that was started in between has found no log there
   * and continues in a new file.
   */
  private async rotate(sandbox: Sandbox, container_id: string, logPath: string): Promise<void> {
    for (let attempt = 0, end = Date.now() + PATIENCE_MS; ; attempt++) {
      const rotated = `${logPath}.20260101-${String(attempt).padStart(6, '0')}`;
      try {
        // A daemon that was stopped while it started the container leaves the log to the next one.
        await rename(logPath, rotated);
        await this.caller.once('ReopenContainerLog', async (client, limit) => {
          try {
            return await client.call('ReopenContainerLog', { container_id }, limit);
          } catch (error) {
            await link(rotated, logPath).then(
              () => unlink(rotated),
              () => undefined,
            );
            throw error;
          }
        });
        return;
      } catch (error) {
        this.caller.expectPatience(end, 'ReopenContainerLog', error);
      }
      const { status } = await this.insistOn(sandbox, 'ContainerStatus', (client, limit) =>
        client.call('ContainerStatus', { container_id }, limit),
      );
      // kubelet does not rotate the log of a container that has ended.
      if (status?.state !== ContainerState.CONTAINER_RUNNING) return;
      await delay(BACK_OFF_MS);
    }
  }

  private async expectEnd(sandbox: Sandbox, container: Running): Promise<void> {
    const { id, plan } = container;
    for (const end = Date.now() + PATIENCE_MS; ;) {
      const { status } = await this.insistOn(sandbox, 'ContainerStatus', (client, limit) =>
        client.call('ContainerStatus', { container_id: id }, limit),
      );
      if (status?.state === ContainerState.CONTAINER_EXITED) {
        if (status.exit_code !== plan.exitCode && !this.wasDisturbed(container))
          this.world.violate(
            `${this.name} ${plan.name}: exit code ${status.exit_code}, not ${plan.exitCode ?? -1}`,
          );
        await this.compareLog(container, 'complete');
        return;
      }
      this.caller.expectPatience(
        end,
        `the end of ${plan.name}`,
        new Error(`it is in state ${status?.state ?? -1}`),
      );
      await delay(BACK_OFF_MS);
    }
  }

  private async stopContainer(container: Running): Promise<void> {
    const { id: container_id, plan } = container;
    await this.caller.send('StopContainer', { container_id, timeout: GRACE_OF_STOP_S });
    const status = await this.caller.containerStatus(container_id);
    if (status?.state !== ContainerState.CONTAINER_EXITED)
      this.world.violate(`${this.name} ${plan.name}: state ${status?.state ?? -1} after StopContainer`);
    else if (!KILLED.includes(status.exit_code) && !this.wasDisturbed(container))
      this.world.violate(`${this.name} ${plan.name}: exit code ${status.exit_code} after StopContainer`);
    await this.compareLog(container, 'stopped');
  }

  /** Returns whether dockerd has ended since the container was started. It may have ended the container or lost output. */
  private wasDisturbed({ engineGeneration }: Running): boolean {
    return engineGeneration !== this.world.engineGeneration;
  }

  private async compareLog(container: Running, how: 'complete' | 'stopped'): Promise<void> {
    const { id, plan, logPath } = container;
    const got = await criLog(logPath);
    await this.world.calm;
    const kept = await engineLog(this.world.engine.dockerHost, id).catch(() => undefined);
    const isHoley = this.wasDisturbed(container) || (how === 'stopped' && kept === undefined);
    for (const what of logIsWrong(plan, got, kept, isHoley ? 'holey' : how))
      this.world.violate(`${this.name} ${plan.name} (${id.slice(0, 12)}, ${how}): ${what}`);
    this.ledger.linesCompared += got.stdout.length + got.stderr.length;
    this.ledger.logsCompared++;
  }

  /** Gives the pod up, as kubelet does with a sandbox that is not ready. The next attempt takes its place. */
  private async abandon(): Promise<void> {
    const { sandbox } = this;
    this.sandbox = undefined;
    this.containers.clear();
    if (sandbox !== undefined) this.ledger.live.delete(sandbox.id);
    for (const { id } of await this.sandboxes()) await this.removeSandbox(id);
    this.attempt++;
  }

  private async removeContainer(container_id: string): Promise<void> {
    await this.caller.send('RemoveContainer', { container_id });
    this.ledger.noteRemoved(container_id);
    const { containers } = await this.caller.insist('ListContainers', (client, limit) =>
      client.call('ListContainers', { filter: { id: container_id } }, limit),
    );
    if (containers.length > 0)
      this.world.violate(`${this.name}: ${container_id.slice(0, 12)} is listed after RemoveContainer`);
  }

  private async removeSandbox(pod_sandbox_id: string): Promise<void> {
    await this.caller.send('StopPodSandbox', { pod_sandbox_id });
    await this.caller.send('RemovePodSandbox', { pod_sandbox_id });
    this.ledger.noteRemoved(pod_sandbox_id);
    const { items } = await this.caller.insist('ListPodSandbox', (client, limit) =>
      client.call('ListPodSandbox', { filter: { id: pod_sandbox_id } }, limit),
    );
    const { containers } = await this.caller.insist('ListContainers', (client, limit) =>
      client.call('ListContainers', { filter: { pod_sandbox_id } }, limit),
    );
    if (items.length + containers.length > 0)
      this.world.violate(
        `${this.name}: after RemovePodSandbox ${items.length} sandboxes and ${containers.length} containers of the pod are listed`,
      );
  }

  private async expectReady(sandbox: Sandbox): Promise<void> {
    const all = await this.sandboxes();
    const mine = all.find(({ id }) => id === sandbox.id);
    if (mine?.state !== PodSandboxState.SANDBOX_READY) throw new PodLost();
  }

  /**
   * Repeats the call until it succeeds.
   * @throws PodLost if the sandbox is not ready, or if the container is gone or has ended.
   */
  private async insistOn<T>(sandbox: Sandbox, method: Method, call: Call<T>): Promise<T> {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        return await this.caller.once(method, call);
      } catch (error) {
        this.caller.expectPatience(end, method, error);
        await this.expectReady(sandbox);
        if (
          (error as ServiceError).code === codes.FAILED_PRECONDITION ||
          (error as ServiceError).code === codes.NOT_FOUND
        ) {
          // The container may have ended together with dockerd, although its sandbox is ready.
          throw new PodLost();
        }
      }
    }
  }
}
