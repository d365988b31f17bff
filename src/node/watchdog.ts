import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { pause } from '../lib/async/abortable';

/** Four signs of life in the time that systemd waits for one: a lost one, or a late answer, is no death. */
const SIGNS = 4;

/** A part of the daemon without which it serves nobody, and which a restart brings back. */
export interface WatchedPart {
  readonly name: string;
  /** @returns what is wrong with it; undefined as long as it answers. */
  problem(): Promise<string | undefined>;
}

export interface WatchdogParts {
  readonly intervalMs: number;
  readonly parts: readonly WatchedPart[];
  /** Tells systemd that we live. */
  readonly notify: () => Promise<void>;
  readonly logger: Logger;
}

/**
 * How often systemd wants to hear from this process, ms; undefined when it does not (`WatchdogSec=` of the unit). The
 * variables are meant for the process that WATCHDOG_PID names, not for those that inherit them (sd_watchdog_enabled(3)).
 */
export function watchdogInterval(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const limitMs = Number(env.WATCHDOG_USEC) / 1000;
  const isOurs = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === pid;
  return isOurs && limitMs > 0 && Number.isFinite(limitMs) ? limitMs / SIGNS : undefined;
}

/**
 * Tells systemd again and again that the daemon lives, as long as its parts answer; systemd kills and restarts one that it
 * does not hear of (docs/adr/0038-units-and-packages.md). That the event loop turns is shown by the telling itself.
 */
export class Watchdog {
  private readonly stopped = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private told = '';

  constructor(private readonly options: WatchdogParts) {}

  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { intervalMs, notify } = this.options;
    const { signal } = this.stopped;
    while (!signal.aborted) {
      if (await this.allAnswer()) await notify();
      await pause(intervalMs, signal);
    }
  }

  private async allAnswer(): Promise<boolean> {
    const { parts, logger } = this.options;
    const found = await Promise.all(
      parts.map(async (part) => {
        const problem = await part.problem().catch(messageOf);
        return problem === undefined ? [] : [`${part.name}: ${problem}`];
      }),
    );
    const problems = found.flat().join('; ');
    if (problems !== '' && problems !== this.told)
      logger.error('A part of the daemon does not answer; systemd will restart it', { reason: problems });
    if (problems === '' && this.told !== '') logger.info('All parts of the daemon answer again');
    this.told = problems;
    return problems === '';
  }
}
