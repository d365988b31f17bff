import type { CallLanes } from '../docker/call-lanes';
import type { DockerClient } from '../docker/client';
import { counted } from '../lib/counted';
import { hasCode, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Store } from '../store/store';
import { hasNetworkDeadlock } from '../translate/shared/engine-facts';

/** A call older than this is reported, except a stop, which takes as long as its container needs to end. */
const OLD_CALL_MS = 10_000;
/**
 * A call that has waited this long for its turn shows that the node cannot work. Stops are excluded, because a stop may
 * wait for other stops for any length of time.
 */
const OLD_WAIT_MS = 30_000;
/**
 * When a call is older than this, dockbridge checks whether the Engine's networks answer. Calls for images and commands do
 * not count.
 */
const SUSPICIOUS_MS = 20_000;
/** The list of networks takes milliseconds, or a second on the busiest node. */
const NETWORKS_MS = 15_000;

/** What is wrong with an Engine that answers pings. `isStuck` means that it cannot run pods. */
export interface EngineTrouble {
  readonly isStuck: boolean;
  /** One CamelCase word, for a CRI condition. */
  readonly reason: string;
  readonly message: string;
}

export interface EngineWatchParts {
  readonly docker: Pick<DockerClient, 'listNetworks'>;
  readonly lanes: Pick<CallLanes, 'load'>;
  readonly store: Pick<Store, 'engine'>;
  readonly logger: Logger;
}

/**
 * Notices an Engine that answers pings but cannot work: its calls hang, calls wait too long for their turn, or its networks are
 * locked.
 */
export class EngineWatch {
  private told = '';
  /** When the unanswered list of networks was requested, in ms of performance.now(); 0 when no list is pending. */
  private networksAskedAt = 0;
  private isAsking = false;

  constructor(private readonly parts: EngineWatchParts) {}

  get trouble(): EngineTrouble | undefined {
    return this.lockedNetworks() ?? this.oldQueue() ?? this.oldCall();
  }

  /**
   * Looks for trouble and logs it when it begins, changes or ends. Called at each heartbeat that the Engine has answered.
   */
  look(signal: AbortSignal): void {
    const { lanes, logger } = this.parts;
    const isSuspicious = lanes.load.some(
      ({ lane, oldestCallMs }) => lane !== 'image' && lane !== 'exec' && oldestCallMs > SUSPICIOUS_MS,
    );
    if ((isSuspicious || this.networksAskedAt !== 0) && !this.isAsking) void this.askNetworks(signal);
    const { trouble } = this;
    const kind = trouble?.reason ?? '';
    if (kind === this.told) return;
    this.told = kind;
    if (trouble === undefined) logger.info('Docker Engine keeps up again');
    else
      logger[trouble.isStuck ? 'error' : 'warn']('Docker Engine does not keep up', {
        reason: trouble.message,
      });
  }

  /**
   * Lists the networks to see whether they answer. Only one list is pending at a time, because each would wait behind the
   * same lock.
   */
  private async askNetworks(signal: AbortSignal): Promise<void> {
    this.isAsking = true;
    if (this.networksAskedAt === 0) this.networksAskedAt = performance.now();
    let hasAnswer = true;
    try {
      await this.parts.docker.listNetworks({ signal });
    } catch (error) {
      this.parts.logger.debug(
        () => 'Cannot list the networks of Docker Engine',
        () => ({ error: messageOf(error) }),
      );
      // A list that timed out is no answer. The lock may still be held, so the next look requests the list again.
      hasAnswer = signal.aborted || !hasCode(error, 'DEADLINE_EXCEEDED');
    }
    this.isAsking = false;
    if (hasAnswer) this.networksAskedAt = 0;
  }

  private lockedNetworks(): EngineTrouble | undefined {
    if (this.networksAskedAt === 0) return undefined;
    const waited = performance.now() - this.networksAskedAt;
    if (waited < NETWORKS_MS) return undefined;
    const version = this.parts.store.engine?.engineVersion ?? '';
    const known = hasNetworkDeadlock(version)
      ? ' (this version can deadlock when containers end: moby/moby#42545, fixed in 20.10.27 and 23.0)'
      : '';
    return {
      isStuck: true,
      reason: 'DockerNetworksHang',
      message: `${version === '' ? 'Docker Engine' : `Docker Engine ${version}`} answers pings, but its networks have not answered for ${seconds(waited)}${known}: pods can neither start nor end until dockerd is restarted`,
    };
  }

  private oldQueue(): EngineTrouble | undefined {
    const old = this.parts.lanes.load.find(
      ({ lane, oldestWaitMs }) => lane !== 'stop' && oldestWaitMs > OLD_WAIT_MS,
    );
    if (old === undefined) return undefined;
    return {
      isStuck: true,
      reason: 'DockerDaemonHangs',
      message: `Docker Engine does not keep up: ${counted(old.waiting, `${old.lane} call waits for its turn`, `${old.lane} calls wait for their turn`)} (the oldest for ${seconds(old.oldestWaitMs)}) behind ${counted(old.underWay, 'unanswered call')} (the oldest, ${old.oldestCall}, for ${seconds(old.oldestCallMs)})`,
    };
  }

  private oldCall(): EngineTrouble | undefined {
    const old = this.parts.lanes.load.filter(
      ({ lane, oldestCallMs }) => lane !== 'stop' && oldestCallMs > OLD_CALL_MS,
    );
    if (old.length === 0) return undefined;
    const slow = old.reduce((sum, { slow: calls }) => sum + calls, 0);
    const [oldest] = old.sort((one, other) => other.oldestCallMs - one.oldestCallMs);
    return {
      isStuck: false,
      reason: 'DockerDaemonSlow',
      message: `${counted(slow, 'call of Docker Engine hangs', 'calls of Docker Engine hang')}, the oldest, ${oldest?.oldestCall}, for ${seconds(oldest?.oldestCallMs ?? 0)}`,
    };
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
