import { setTimeout as delay } from 'node:timers/promises';
import { status as codes, type ServiceError } from '@grpc/grpc-js';
import type { CriClient } from '../../src/server/client/cri-client';
import type { Ledger } from './ledger';
import { WorldBroken, type World } from './world';

/** A call's deadline (ms): shorter than kubelet's, so that hung calls reach it. */
export const DEADLINE_MS = 20_000;
/** How much later than its deadline a call may be over, on a machine that is busy with other things (ms). */
const GRACE_MS = 15_000;
/** A step that has no success for so long makes no progress (ms). */
export const PATIENCE_MS = 300_000;
/** Between two tries, as kubelet's back-off of pod workers, only shorter (ms). */
export const BACK_OFF_MS = 300;

export type Method = Parameters<CriClient['call']>[0];
export type Call<T> = (client: CriClient) => Promise<T>;

/** Calls dockbridge for one pod, as kubelet does: each is counted, bounded, and repeated where its caller insists. */
export class Caller {
  constructor(
    private readonly world: World,
    private readonly ledger: Ledger,
    /** The pod, for messages. */
    readonly name: string,
  ) {}

  /** One call; when it fails, after a pause and when there is a daemon again. */
  async once<T>(method: Method, call: Call<T>): Promise<T> {
    await this.world.reachable;
    const { calls, failures } = this.ledger;
    calls[method] = (calls[method] ?? 0) + 1;
    try {
      return await this.bounded(method, call(this.world.client));
    } catch (error) {
      if (error instanceof WorldBroken) throw error;
      const code = codes[(error as ServiceError).code] as string | undefined;
      const name = `${method} ${code ?? String(error)}`;
      failures[name] = (failures[name] ?? 0) + 1;
      this.world.tell(`${this.name}: ${method}: ${String(error)}`);
      await delay(BACK_OFF_MS);
      await this.world.reachable;
      throw error;
    }
  }

  private async bounded<T>(method: Method, answer: Promise<T>): Promise<T> {
    const begun = performance.now();
    return answer.finally(() => {
      const took = performance.now() - begun;
      if (took > DEADLINE_MS + GRACE_MS)
        this.world.violate(`${this.name}: ${method} took ${Math.round(took)} ms`);
    });
  }

  /** Repeated until it succeeds. */
  async insist<T>(method: Method, call: Call<T>): Promise<T> {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        return await this.once(method, call);
      } catch (error) {
        this.expectPatience(end, method, error);
      }
    }
  }

  /** Stop and remove calls: they must succeed in the end, whatever there is. */
  async send(
    method: 'StopPodSandbox' | 'RemovePodSandbox' | 'StopContainer' | 'RemoveContainer',
    request: object,
  ): Promise<void> {
    await this.insist(method, (client) => client.call(method, request, DEADLINE_MS));
  }

  /** @throws `error` when nothing can go on, and when the time is over. */
  expectPatience(end: number, what: string, error: unknown): void {
    if (error instanceof WorldBroken) throw error;
    if (Date.now() > end)
      throw new Error(`${this.name}: no progress with ${what} for ${PATIENCE_MS / 1000} s: ${String(error)}`);
  }
}
