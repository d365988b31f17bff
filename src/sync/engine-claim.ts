import { createHash } from 'node:crypto';
import { readFile, realpath, writeFile } from 'node:fs/promises';
import { waitAtMost } from '../lib/async/deadline';
import { DiskLooks } from '../node/disk/disk-looks';
import { messageOf, RuntimeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { pause } from '../lib/async/abortable';
import type { OtherClaim, ProcessClaims } from '../node/claims';
import type { EngineFacts } from '../store/records';

/**
 * The directory of the claims. It is fixed, because two daemons on one machine must see each other whatever directories
 * they use.
 */
export const ENGINE_CLAIMS = '/run/dockbridge/engines';

/** All times are in ms. */
export interface ClaimTimes {
  /** How often to check whether the other process has ended. The kernel notifies only the parent of a process. */
  readonly lookAgain: number;
  /** How long to wait for another dockbridge before checking again that the endpoint still leads to the same Engine. */
  readonly askAgain: number;
  /**
   * How long to wait for /info. After this time, the link continues without the Engine's answer, unless a remembered key
   * shows that another dockbridge serves the Engine.
   */
  readonly infoPatience: number;
  /** How long to wait for the disk that holds the state directory. */
  readonly memoryPatience: number;
}

const TIMES: ClaimTimes = {
  lookAgain: 250,
  askAgain: 10_000,
  infoPatience: 1_000,
  memoryPatience: 1_000,
};

const NEVER = new Promise<never>(() => undefined);

/** The error of a wait that failed because another dockbridge serves the Engine. */
export class EngineTaken extends RuntimeError {
  constructor(message: string) {
    super('UNAVAILABLE', message);
  }
}

export interface EngineClaim {
  /**
   * Waits until no other dockbridge uses the same endpoint, or until the signal fires. Makes no call to the Engine.
   * @param onTaken called with the reason while this waits.
   */
  holdWay(signal: AbortSignal, onTaken: (reason: string) => void): Promise<void>;
  /**
   * Waits until no other dockbridge serves the Engine itself, because another daemon may reach it through another
   * endpoint.
   * @param learned the facts of the Engine. While the Engine is slow to report them, it counts as the last known Engine or,
   * if none is known, as free.
   * @returns `displaced`, which rejects if it turns out that another dockbridge serves the Engine.
   * @throws EngineTaken after 10 s, because the endpoint may lead to another Engine by then.
   */
  hold(
    learned: Promise<EngineFacts>,
    signal: AbortSignal,
    onTaken: (reason: string) => void,
  ): Promise<{ readonly displaced: Promise<never> }>;
  release(): Promise<void>;
}

export interface OneDaemonParts {
  readonly claims: Pick<ProcessClaims, 'take' | 'release' | 'sweep'>;
  /** The Engine's address, from --docker-endpoint. */
  readonly endpoint: string;
  /** Path of the file that keeps the Engine's key over restarts; see rememberedEngine. */
  readonly memory: string;
  readonly logger: Logger;
  readonly times?: Partial<ClaimTimes>;
}

/** Keeps two daemons on one machine from serving the same Engine (docs/adr/0030-one-dockbridge-on-an-engine.md). */
export class OneDaemon implements EngineClaim {
  private readonly times: ClaimTimes;
  /**
   * Bounds access to the file `memory`. Each connection reads the file again, and a disk that hangs must block only one
   * thread.
   */
  private readonly looks: DiskLooks;
  private way = '';
  private engine = '';
  /** The key and the process in the last log line about another dockbridge. */
  private told: { readonly key: string; readonly process: string } | undefined;
  private hasWarned = false;

  constructor(private readonly parts: OneDaemonParts) {
    this.times = { ...TIMES, ...parts.times };
    this.looks = new DiskLooks(1, this.times.memoryPatience);
  }

  async holdWay(signal: AbortSignal, onTaken: (reason: string) => void): Promise<void> {
    // Claims on Engines that no daemon serves any more would otherwise remain until the next boot.
    if (this.way === '') await this.parts.claims.sweep();
    this.way = await wayKey(this.parts.endpoint);
    this.engine ||= await this.remembered();
    await this.until(this.way, signal, Infinity, onTaken);
  }

  async hold(
    learned: Promise<EngineFacts>,
    signal: AbortSignal,
    onTaken: (reason: string) => void,
  ): Promise<{ readonly displaced: Promise<never> }> {
    const { infoPatience, askAgain } = this.times;
    const told = await waitAtMost('/info', infoPatience, learned, signal).then(engineKey, () => undefined);
    // Until the Engine reports its facts, its last known key counts.
    const key = told ?? this.engine;
    if (key !== '') await this.holdEngine(key, signal, askAgain, onTaken);
    if (told !== undefined) return { displaced: NEVER };
    return {
      displaced: onlyTaken(learned.then((facts) => this.holdEngine(engineKey(facts), signal, 0, onTaken))),
    };
  }

  /** Releases the claims. Called when the daemon ends and makes no more changes. */
  async release(): Promise<void> {
    for (const key of [this.engine, this.way]) if (key !== '') await this.letGo(key);
  }

  private async holdEngine(
    key: string,
    signal: AbortSignal,
    ms: number,
    onTaken: (reason: string) => void,
  ): Promise<void> {
    signal.throwIfAborted();
    // The old claim is released before the wait. Otherwise, if two daemons had exchanged their Engines, each would wait
    // for the other.
    if (this.engine !== '' && this.engine !== key) await this.letGo(this.engine);
    this.engine = key;
    await this.until(key, signal, ms, onTaken);
    await this.remember(key);
  }

  /** Saves the key. A failure is only logged: without the file, the next process resumes container logs a little later. */
  private async remember(key: string): Promise<void> {
    const { memory, logger } = this.parts;
    const write = async (): Promise<void> => {
      if ((await rememberedEngine(memory)) !== key) await writeFile(memory, key, { mode: 0o600 });
    };
    try {
      await this.looks.run('Writing', memory, write);
    } catch (error) {
      logger.debug(
        () => 'Cannot save which Engine this is',
        () => ({ path: memory, error: messageOf(error) }),
      );
    }
  }

  private async remembered(): Promise<string> {
    const { memory } = this.parts;
    return this.looks.run('Reading', memory, () => rememberedEngine(memory)).catch(() => '');
  }

  private async until(
    key: string,
    signal: AbortSignal,
    ms: number,
    onTaken: (reason: string) => void,
  ): Promise<void> {
    const { lookAgain } = this.times;
    const since = performance.now();
    for (;;) {
      const other = await this.take(key);
      signal.throwIfAborted();
      if (other === undefined) break;
      const reason = takenBy(other);
      this.tell(key, other, reason);
      onTaken(reason);
      if (performance.now() - since >= ms) throw new EngineTaken(reason);
      // When two daemons start at once and refuse each other, a random delay lets one of them try again first.
      await pause(lookAgain * (0.5 + Math.random()), signal);
      signal.throwIfAborted();
    }
    if (this.told?.key !== key) return;
    this.told = undefined;
    this.parts.logger.info('The other dockbridge has ended; this one serves Docker Engine now');
  }

  /**
   * Takes a claim. A claim that cannot be written does not keep dockbridge from serving, because a full disk does not
   * mean that there is a second daemon.
   */
  private async take(key: string): Promise<OtherClaim | undefined> {
    try {
      return await this.parts.claims.take(key);
    } catch (error) {
      if (!this.hasWarned)
        this.parts.logger.warn('Cannot claim Docker Engine; a second dockbridge would not be noticed', {
          directory: ENGINE_CLAIMS,
          error: messageOf(error),
        });
      this.hasWarned = true;
      return undefined;
    }
  }

  private async letGo(key: string): Promise<void> {
    await this.parts.claims.release(key).catch((error: unknown) => {
      this.parts.logger.debug(
        () => 'Cannot release a claim; it stays until this process ends',
        () => ({ error: messageOf(error) }),
      );
    });
  }

  private tell(key: string, other: OtherClaim, reason: string): void {
    if (this.told?.process === other.process) return;
    this.told = { key, process: other.process };
    this.parts.logger.warn('Another dockbridge serves this Docker Engine; waiting for it to end', { reason });
  }
}

/** The claim of a daemon that changes nothing and therefore needs none. */
export class NoClaim implements EngineClaim {
  holdWay(): Promise<void> {
    return Promise.resolve();
  }

  hold(): Promise<{ readonly displaced: Promise<never> }> {
    return Promise.resolve({ displaced: NEVER });
  }

  release(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Returns the key of the Engine itself. It includes the data directory, because Engine 20.10 reads its id from
 * /etc/docker, which two Engines on one machine share.
 */
export function engineKey({ id, rootDir }: Pick<EngineFacts, 'id' | 'rootDir'>): string {
  return hash(`engine ${id}\n${rootDir}`);
}

/** Returns the key of the Engine that a daemon with this state directory served last, or '' when there is none. */
export async function rememberedEngine(memory: string): Promise<string> {
  const text = await readFile(memory, 'utf8').catch(() => '');
  return /^[0-9a-f]{32}$/.test(text) ? text : '';
}

/** Returns the key of the endpoint, which is known before the Engine answers. */
export async function wayKey(endpoint: string): Promise<string> {
  // Without an endpoint, dockerode uses DOCKER_HOST or the default socket.
  const given = [endpoint, process.env.DOCKER_HOST].find((one) => one !== undefined && one !== '');
  const meant = given ?? 'unix:///var/run/docker.sock';
  const path = meant.replace(/^unix:\/\//, '');
  return hash(`endpoint ${path === meant ? meant : await realpath(path).catch(() => path)}`);
}

/** Returns the text that operators read in the log, in Status and in refused calls. */
export function takenBy({ words }: OtherClaim): string {
  return `another dockbridge serves this Docker Engine (${words}): stop one of the two`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/**
 * Returns a promise that never resolves and rejects only with EngineTaken, because a failed /info is no evidence of
 * another daemon.
 */
function onlyTaken(own: Promise<void>): Promise<never> {
  const displaced = new Promise<never>((_, reject) => {
    own.catch((error: unknown) => {
      if (error instanceof EngineTaken) reject(error);
    });
  });
  displaced.catch(() => undefined);
  return displaced;
}
