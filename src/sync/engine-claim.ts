import { createHash } from 'node:crypto';
import { readFile, realpath, writeFile } from 'node:fs/promises';
import { waitAtMost } from '../lib/async/deadline';
import { DiskLooks } from '../node/disk/disk-looks';
import { messageOf, RuntimeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { pause } from '../lib/async/abortable';
import type { OtherClaim, ProcessClaims } from '../node/process/process-claims';
import type { EngineFacts } from '../store/records';

/** Two daemons of one machine must see each other whatever directories they were given. */
export const ENGINE_CLAIMS = '/run/dockbridge/engines';

/** All in ms. */
export interface ClaimTimes {
  /** Nobody is told of the end of a process that is no child of theirs. */
  readonly lookAgain: number;
  /** An Engine that another one has is asked again this often whether it is still the same. */
  readonly askAgain: number;
  /** How long /info may keep a daemon from reading the Engine that nobody else reaches as it does. */
  readonly infoPatience: number;
  /** How long the disk of the state directory is waited for. */
  readonly memoryPatience: number;
}

const TIMES: ClaimTimes = {
  lookAgain: 250,
  askAgain: 10_000,
  infoPatience: 1_000,
  memoryPatience: 1_000,
};

const NEVER = new Promise<never>(() => undefined);

/** The Engine is another dockbridge's. */
export class EngineTaken extends RuntimeError {
  constructor(message: string) {
    super('UNAVAILABLE', message);
  }
}

export interface EngineClaim {
  /**
   * Waits, until the signal fires, for the way to the Engine to be ours: asks nothing of the Engine.
   * @param onTaken hears why it takes long.
   */
  holdWay(signal: AbortSignal, onTaken: (reason: string) => void): Promise<void>;
  /**
   * Waits for the Engine itself, which others may reach another way.
   * @param learned what it says it is. One that is slow to say it is taken as ours for the time being.
   * @returns `displaced`, which rejects should it turn out to be another one's.
   * @throws EngineTaken after 10 s: it may be another Engine by now.
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
  /** --docker-endpoint. */
  readonly endpoint: string;
  /** Where the key of the Engine is remembered over restarts; see rememberedEngine. */
  readonly memory: string;
  readonly logger: Logger;
  readonly times?: Partial<ClaimTimes>;
}

/** Keeps two daemons of a machine from one Engine (docs/adr/0030-one-dockbridge-on-an-engine.md). */
export class OneDaemon implements EngineClaim {
  private readonly times: ClaimTimes;
  /** At the memory: each connection looks at it, and a disk that hangs must cost one thread. */
  private readonly looks: DiskLooks;
  private way = '';
  private engine = '';
  /** Who has which key, as the log was told. */
  private told: { readonly key: string; readonly process: string } | undefined;
  private hasWarned = false;

  constructor(private readonly parts: OneDaemonParts) {
    this.times = { ...TIMES, ...parts.times };
    this.looks = new DiskLooks(1, this.times.memoryPatience);
  }

  async holdWay(signal: AbortSignal, onTaken: (reason: string) => void): Promise<void> {
    // Those of Engines that nobody serves any more would stay until the next boot.
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
    // What it was when it last said so counts until it says something else.
    const key = told ?? this.engine;
    if (key !== '') await this.holdEngine(key, signal, askAgain, onTaken);
    if (told !== undefined) return { displaced: NEVER };
    return {
      displaced: onlyTaken(learned.then((facts) => this.holdEngine(engineKey(facts), signal, 0, onTaken))),
    };
  }

  /** At the daemon's end, when it changes nothing any more. */
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
    // Before the wait: were the Engines of two daemons exchanged, each would wait for the other.
    if (this.engine !== '' && this.engine !== key) await this.letGo(this.engine);
    this.engine = key;
    await this.until(key, signal, ms, onTaken);
    await this.remember(key);
  }

  /** Without it, logs that this process leaves behind are resumed a moment later than they could be. */
  private async remember(key: string): Promise<void> {
    const { memory, logger } = this.parts;
    const write = async (): Promise<void> => {
      if ((await rememberedEngine(memory)) !== key) await writeFile(memory, key, { mode: 0o600 });
    };
    try {
      await this.looks.run('Writing', memory, write);
    } catch (error) {
      logger.debug(() => `The Engine cannot be remembered: ${messageOf(error)}`);
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
      // When two come at once and refuse each other, one must come back first.
      await pause(lookAgain * (0.5 + Math.random()), signal);
      signal.throwIfAborted();
    }
    if (this.told?.key !== key) return;
    this.told = undefined;
    this.parts.logger.info('The other dockbridge has left Docker Engine to this one');
  }

  /** What cannot be written down keeps nobody from serving: a full disk is no second daemon. */
  private async take(key: string): Promise<OtherClaim | undefined> {
    try {
      return await this.parts.claims.take(key);
    } catch (error) {
      if (!this.hasWarned)
        this.parts.logger.warn('A second dockbridge on this Docker Engine would not be noticed', {
          directory: ENGINE_CLAIMS,
          error: messageOf(error),
        });
      this.hasWarned = true;
      return undefined;
    }
  }

  private async letGo(key: string): Promise<void> {
    await this.parts.claims.release(key).catch((error: unknown) => {
      this.parts.logger.debug(() => `A claim stays until this process ends: ${messageOf(error)}`);
    });
  }

  private tell(key: string, other: OtherClaim, reason: string): void {
    if (this.told?.process === other.process) return;
    this.told = { key, process: other.process };
    this.parts.logger.warn('Docker Engine is served by another dockbridge', { reason });
  }
}

/** For a daemon that changes nothing: it is in nobody's way. */
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

/** The Engine itself. Engine 20.10 has its id from /etc/docker, which two on one machine share. */
export function engineKey({ id, rootDir }: Pick<EngineFacts, 'id' | 'rootDir'>): string {
  return hash(`engine ${id}\n${rootDir}`);
}

/** The key of the Engine that a daemon with this state directory served last; '' when there is none. */
export async function rememberedEngine(memory: string): Promise<string> {
  const text = await readFile(memory, 'utf8').catch(() => '');
  return /^[0-9a-f]{32}$/.test(text) ? text : '';
}

/** Known before the Engine says a word. */
export async function wayKey(endpoint: string): Promise<string> {
  // As dockerode understands an endpoint that is not given.
  const given = [endpoint, process.env.DOCKER_HOST].find((one) => one !== undefined && one !== '');
  const meant = given ?? 'unix:///var/run/docker.sock';
  const path = meant.replace(/^unix:\/\//, '');
  return hash(`endpoint ${path === meant ? meant : await realpath(path).catch(() => path)}`);
}

/** What an operator reads in the log, in Status and in refusals. */
export function takenBy({ words }: OtherClaim): string {
  return `another dockbridge serves this Docker Engine (${words}): stop that one, and this one serves, or stop this one`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** Never resolves, and rejects with EngineTaken only: an /info that fails says nothing. */
function onlyTaken(own: Promise<void>): Promise<never> {
  const displaced = new Promise<never>((_, reject) => {
    own.catch((error: unknown) => {
      if (error instanceof EngineTaken) reject(error);
    });
  });
  displaced.catch(() => undefined);
  return displaced;
}
