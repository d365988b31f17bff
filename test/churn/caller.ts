import { setTimeout as delay } from 'node:timers/promises';
import { status as codes, type ServiceError } from '@grpc/grpc-js';
import type { CriClient } from '../../src/server/client/cri-client';
import type { cri, Decoded } from '../../src/proto';
import type { Ledger } from './ledger';
import { WorldBroken, type World } from './world';

/**
 * The deadline of a call (ms). It begins shorter than kubelet's, so that hung calls reach it, and doubles
 * while calls miss it, up to kubelet's own for a sandbox. A busy machine may need more than 20 s for a pod.
 */
const DEADLINE_MS = { first: 20_000, longest: 240_000 };
/** A call may take this much longer than its deadline on a busy machine (ms). */
const GRACE_MS = 15_000;
/** A step that has not succeeded for this long makes no progress (ms). */
export const PATIENCE_MS = 900_000;
/** The pause between two attempts (ms). It is like the back-off of kubelet's pod workers, but shorter. */
export const BACK_OFF_MS = 300;

export type Method = Parameters<CriClient['call']>[0];
export type Call<T> = (client: CriClient, deadlineMs: number) => Promise<T>;

/**
 * Calls dockbridge for one pod, as kubelet does. Each call is counted, limited in time, and repeated if its
 * caller insists.
 */
export class Caller {
  private deadlineMs = DEADLINE_MS.first;

  constructor(
    private readonly world: World,
    private readonly ledger: Ledger,
    /** The pod, for messages. */
    readonly name: string,
  ) {}

  /** Makes one call. After a failure it pauses and waits for a daemon. */
  async once<T>(method: Method, call: Call<T>): Promise<T> {
    await this.world.reachable;
    const { calls, failures } = this.ledger;
    calls[method] = (calls[method] ?? 0) + 1;
    try {
      const answer = await this.bounded(method, call(this.world.client, this.deadlineMs));
      this.deadlineMs = DEADLINE_MS.first;
      return answer;
    } catch (error) {
      if ((error as ServiceError).code === codes.DEADLINE_EXCEEDED)
        this.deadlineMs = Math.min(2 * this.deadlineMs, DEADLINE_MS.longest);
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
    const most = this.deadlineMs + GRACE_MS;
    return answer.finally(() => {
      const took = performance.now() - begun;
      if (took > most) this.world.violate(`${this.name}: ${method} took ${Math.round(took)} ms`);
    });
  }

  /** Repeats the call until it succeeds. */
  async insist<T>(method: Method, call: Call<T>): Promise<T> {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        return await this.once(method, call);
      } catch (error) {
        this.expectPatience(end, method, error);
      }
    }
  }

  async containerStatus(container_id: string): Promise<Decoded<cri.IContainerStatus> | null | undefined> {
    const { status } = await this.insist('ContainerStatus', (client, limit) =>
      client.call('ContainerStatus', { container_id }, limit),
    );
    return status;
  }

  /** Makes a stop or remove call, which must succeed in the end, whatever the state of the object. */
  async send(
    method: 'StopPodSandbox' | 'RemovePodSandbox' | 'StopContainer' | 'RemoveContainer',
    request: object,
  ): Promise<void> {
    await this.insist(method, (client, deadlineMs) => client.call(method, request, deadlineMs));
  }

  /** @throws `error` when the run cannot continue, and an Error when the time is over. */
  expectPatience(end: number, what: string, error: unknown): void {
    if (error instanceof WorldBroken) throw error;
    if (Date.now() > end)
      throw new Error(`${this.name}: no progress with ${what} for ${PATIENCE_MS / 1000} s: ${String(error)}`);
  }
}
