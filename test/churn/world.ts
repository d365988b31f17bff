import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CriClient } from '../../src/server/client/cri-client';
import { ChildDaemon } from '../integration/support/child-daemon';
import { CniNode } from '../integration/support/cni-node';
import { startPrivateEngine, type PrivateEngine } from '../integration/support/engine';
import { EngineProxy, type Fault, type SeenCall } from '../integration/support/engine-proxy';
import type { Random } from './random';

/** How long the daemon or the Engine may take to be back after a kill (ms). */
const BACK_WITHIN_MS = 300_000;
/** The calls of the heartbeat, which get no faults. */
const HEARTBEAT = /^GET (\/v[\d.]+)?\/_ping/;
const IDS = /[0-9a-f]{64}/g;

/** Thrown when the run cannot continue, because the daemon or the Engine did not come back. */
export class WorldBroken extends Error {}

/**
 * Everything that a pod needs, with the means to disturb it: a CNI node, an Engine behind a proxy, and a
 * daemon.
 */
export class World {
  readonly violations: string[] = [];
  readonly faults: Record<string, number> = {};
  /** The actions of the run and the logs of the daemons, for the analysis of a failure. */
  readonly story: string[] = [];
  daemonKills = 0;
  daemonStops = 0;
  engineKills = 0;
  engineStops = 0;
  /** Changes when the daemon ends and when it is back. */
  daemonGeneration = 0;
  /** The number of times that dockerd ended, which ends containers if dockerd does not restore them. */
  engineGeneration = 0;
  /** Resolves when no kill is under way. */
  calm: Promise<void> = Promise.resolve();
  /** Resolves when there is a daemon to call. The Engine may be gone. */
  reachable: Promise<void> = Promise.resolve();
  /** The number of lists that were answered so far. */
  lists = 0;
  /** The highest values at the checks of all invariants (bytes; open files). */
  mostMemory = 0;
  mostDescriptors = 0;
  private broken: WorldBroken | undefined;

  private constructor(
    readonly node: CniNode,
    readonly engine: PrivateEngine,
    readonly proxy: EngineProxy,
    readonly daemon: ChildDaemon,
  ) {}

  static async create(dockerdOptions: readonly string[]): Promise<World> {
    const node = await CniNode.create();
    const { cniVersion, name, plugins } = node.network(['10.91.0.0/22']) as {
      plugins: { type: string }[];
    } & Record<string, unknown>;
    const kept = plugins.filter(({ type }) => ['bridge', 'portmap', 'firewall'].includes(type));
    await node.configure({ cniVersion, name, plugins: kept });
    const engine = await startPrivateEngine('churn', { dockerd: dockerdOptions });
    const proxy = await EngineProxy.start(engine.dockerHost);
    const daemon = await ChildDaemon.start(node.arguments, proxy.dockerHost);
    const world = new World(node, engine, proxy, daemon);
    try {
      await world.warmUp();
    } catch (error) {
      await world.destroy();
      throw error;
    }
    return world;
  }

  /** Makes one pod before the test begins. A node's first pod imports the pause image after a failed pull. */
  private async warmUp(): Promise<void> {
    const config = { metadata: { name: 'first', uid: 'first', namespace: 'churn' }, linux: {} };
    const { pod_sandbox_id } = await this.client.call('RunPodSandbox', { config }, 240_000);
    await this.client.call('RemovePodSandbox', { pod_sandbox_id }, 240_000);
  }

  get client(): CriClient {
    if (this.broken !== undefined) throw this.broken;
    return this.daemon.client;
  }

  /** Records that dockbridge broke a promise. The run continues and fails at its end. */
  violate(what: string): void {
    this.tell(`BROKEN: ${what}`);
    this.violations.push(what);
  }

  tell(what: string): void {
    this.story.push(`${new Date().toISOString()} churn: ${what}`);
  }

  /** @returns the file with all actions and log lines, ordered by time as far as each line has one. */
  async writeStory(name: string): Promise<string> {
    const path = join(await mkdtemp(join(tmpdir(), 'dockbridge-churn-')), `${name}.log`);
    await writeFile(path, `${this.story.join('\n')}\n${this.daemon.lastWords(Infinity)}\n`);
    return path;
  }

  async destroy(): Promise<void> {
    try {
      this.proxy.heal();
      // A daemon that is started again must be stopped, too.
      await this.calm;
      if (this.broken === undefined) {
        const code = await this.daemon.stop();
        if (code !== 0) this.violate(`the daemon ended with ${String(code)} at SIGTERM`);
      }
    } finally {
      await this.daemon.kill9();
      await this.proxy.stop();
      await this.engine.destroy();
      await this.node.destroy();
    }
  }

  killDaemon(): Promise<void> {
    this.daemonKills++;
    return this.blowToDaemon('kill -9 of the daemon', () => this.daemon.kill9());
  }

  stopDaemon(): Promise<void> {
    this.daemonStops++;
    return this.blowToDaemon('SIGTERM to the daemon', async () => {
      const code = await this.daemon.terminate();
      if (code !== 0) this.violate(`the daemon ended with ${String(code)} at SIGTERM`);
    });
  }

  killEngine(): Promise<void> {
    this.engineKills++;
    return this.blow('kill -9 of dockerd', async () => {
      this.engineGeneration++;
      await this.engine.kill9();
      await this.engine.start();
    });
  }

  stopEngine(): Promise<void> {
    this.engineStops++;
    return this.blow('a restart of dockerd', async () => {
      this.engineGeneration++;
      await this.engine.stop();
      await this.engine.start();
    });
  }

  /**
   * From now on each call gets one of the faults with a certain chance. The fault depends only on the seed,
   * the kind of call and the number of earlier calls of that kind. A seed therefore means the same faults
   * in each run, at nearly the same moments of pods' lives.
   */
  makeTrouble(random: Random, probability: number): void {
    const seen = new Map<string, number>();
    this.proxy.obey((call) => {
      if (HEARTBEAT.test(`${call.method} ${call.path}`)) return undefined;
      const kind = `${call.method} ${call.path.replace(IDS, '*').replace(/^\/v[\d.]+/, '')}`;
      const number = seen.get(kind) ?? 0;
      seen.set(kind, number + 1);
      const drawn = random.fork(`${kind} ${number}`);
      if (!drawn.chance(probability)) return undefined;
      const fault = drawFault(call, drawn);
      const name = fault.kind === 'hang' ? `hang ${fault.when}` : fault.kind;
      this.faults[name] = (this.faults[name] ?? 0) + 1;
      this.tell(`${name} (${JSON.stringify(fault)}) for ${call.method} ${call.path}`);
      if (fault.kind === 'hang' && !drawn.chance(FOR_EVER))
        void this.releaseAfter(call, 1_000 + drawn.below(6_000));
      return fault;
    });
  }

  get spent(): number {
    return Object.values(this.faults).reduce((sum, count) => sum + count, 0);
  }

  /** Releases a hanging call once a list was answered, because lists must be answered while a call hangs. */
  private async releaseAfter(call: SeenCall, ms: number): Promise<void> {
    const { lists } = this;
    await delay(ms, undefined, { ref: false });
    // The list under way may have been requested before the call hung, so two lists must be answered.
    while (this.lists < lists + 2 && this.proxy.hanging.includes(call))
      await delay(100, undefined, { ref: false });
    this.proxy.release((held) => held === call);
  }

  private blowToDaemon(what: string, harm: () => Promise<void>): Promise<void> {
    let back!: () => void;
    return this.blow(what, async () => {
      const before = this.reachable;
      this.reachable = before.then(() => new Promise<void>((resolve) => (back = resolve)));
      await before;
      this.daemonGeneration++;
      try {
        await harm();
        this.story.push(this.daemon.lastWords(Infinity));
        await this.daemon.launch();
      } finally {
        this.daemonGeneration++;
        back();
      }
    });
  }

  private async blow(what: string, harm: () => Promise<void>): Promise<void> {
    const before = this.calm;
    this.calm = (async () => {
      await before;
      if (this.broken !== undefined) return;
      this.tell(what);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new Error(`not back within ${BACK_WITHIN_MS / 1000} s`)),
          BACK_WITHIN_MS,
        );
      });
      try {
        await Promise.race([harm(), late]);
      } catch (error) {
        const words = `${what}: ${String(error)}:\n${this.daemon.lastWords()}`;
        this.violate(words);
        this.broken = new WorldBroken(words);
      } finally {
        clearTimeout(timer);
      }
      this.tell(`${what} is over`);
    })();
    await this.calm;
  }
}

/** The share of calls that hang until their caller gives up. */
const FOR_EVER = 0.15;

/**
 * Streams are cut off, not failed half-way. A start of a container or an exec is never duplicated, because
 * a process that has ended by then would correctly run twice.
 */
function drawFault({ method, path }: SeenCall, random: Random): Fault {
  const isStream = /\/(events|attach|exec\/\w+\/start)$/.test(path);
  const isOnce =
    isStream ||
    path.endsWith('/start') ||
    path.endsWith('/exec') ||
    path.endsWith('/images/create') ||
    path.endsWith('/build');
  const kinds: Fault[] = [
    { kind: 'delay', ms: 50 + random.below(2_000) },
    { kind: 'hang', when: 'before' },
    { kind: 'fail', status: random.pick([500, 503]), message: 'a fault of the churn' },
    { kind: 'cut', afterBytes: random.pick([0, 1, 100]) },
  ];
  if (!isStream) kinds.push({ kind: 'hang', when: 'after' });
  if (!isOnce && method !== 'GET') kinds.push({ kind: 'duplicate' });
  return random.pick(kinds);
}
