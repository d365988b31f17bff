import { setTimeout as delay } from 'node:timers/promises';
import type { CriClient } from '../../src/server/client/cri-client';
import { ChildDaemon } from '../integration/support/child-daemon';
import { CniNode } from '../integration/support/cni-node';
import { startPrivateEngine, type PrivateEngine } from '../integration/support/engine';
import { EngineProxy, type Fault, type SeenCall } from '../integration/support/engine-proxy';
import type { Random } from './random';

/** How long the daemon or the Engine may take to be back after a blow (ms). */
const BACK_WITHIN_MS = 120_000;
/** Calls that only watch: a fault of theirs is drawn like any other's, but they come too often to be counted. */
const HEARTBEAT = /^GET (\/v[\d.]+)?\/_ping/;

/** Everything that a pod lives in, and the means to harm it: a node for CNI, an Engine behind a proxy, a daemon. */
export class World {
  readonly violations: string[] = [];
  readonly faults: Record<string, number> = {};
  daemonKills = 0;
  daemonStops = 0;
  engineKills = 0;
  engineStops = 0;
  /** Changes with each blow, at its start and its end. */
  generation = 0;
  /** The number of times that dockerd went, which ends containers where it does not restore them. */
  engineGeneration = 0;
  /** Resolves when no blow is under way. */
  calm: Promise<void> = Promise.resolve();

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
    return new World(node, engine, proxy, daemon);
  }

  get client(): CriClient {
    return this.daemon.client;
  }

  /** Notes that a promise of dockbridge was broken; the run goes on and fails at its end. */
  violate(what: string): void {
    this.violations.push(what);
  }

  async destroy(): Promise<void> {
    try {
      this.proxy.heal();
      const code = await this.daemon.stop();
      if (code !== 0) this.violate(`the daemon ended with ${String(code)} at SIGTERM`);
    } finally {
      await this.daemon.kill9();
      await this.proxy.stop();
      await this.engine.destroy();
      await this.node.destroy();
    }
  }

  killDaemon(): Promise<void> {
    this.daemonKills++;
    return this.blow('kill -9 of the daemon', async () => {
      await this.daemon.kill9();
      await this.daemon.launch();
    });
  }

  stopDaemon(): Promise<void> {
    this.daemonStops++;
    return this.blow('SIGTERM to the daemon', async () => {
      await this.daemon.terminate();
      await this.daemon.launch();
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

  /** From now on each call has a chance of one of the faults, `most` in all. */
  makeTrouble(random: Random, probability: number, most: number): void {
    let left = most;
    this.proxy.obey((call) => {
      if (left <= 0 || HEARTBEAT.test(`${call.method} ${call.path}`) || !random.chance(probability))
        return undefined;
      left--;
      const fault = drawFault(call, random);
      const name = fault.kind === 'hang' ? `hang ${fault.when}` : fault.kind;
      this.faults[name] = (this.faults[name] ?? 0) + 1;
      if (fault.kind === 'hang') void this.releaseAfter(call, 1_000 + random.below(8_000));
      return fault;
    });
  }

  private async releaseAfter(call: SeenCall, ms: number): Promise<void> {
    await delay(ms, undefined, { ref: false });
    this.proxy.release((held) => held === call);
  }

  private async blow(what: string, harm: () => Promise<void>): Promise<void> {
    const before = this.calm;
    this.calm = (async () => {
      await before;
      this.generation++;
      const late = setTimeout(
        () =>
          this.violate(`${what}: not back within ${BACK_WITHIN_MS / 1000} s:\n${this.daemon.lastWords()}`),
        BACK_WITHIN_MS,
      );
      try {
        await harm();
      } catch (error) {
        this.violate(`${what}: ${String(error)}`);
      } finally {
        clearTimeout(late);
      }
      this.generation++;
    })();
    await this.calm;
  }
}

/** Streams are torn, not failed half-way; an exec is never duplicated, for its command would run twice by right. */
function drawFault({ method, path }: SeenCall, random: Random): Fault {
  const isStream = /\/(events|attach|exec\/\w+\/start)$/.test(path);
  const isOnce =
    isStream || path.endsWith('/exec') || path.endsWith('/images/create') || path.endsWith('/build');
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
