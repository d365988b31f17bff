import { execFile } from 'node:child_process';
import { pause } from '../lib/async/abortable';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { NotifyHelper } from './notify-helper';

/**
 * Tells systemd the state of this process; does nothing when NOTIFY_SOCKET is not set. It runs the systemd-notify command,
 * because Node has no datagram unix sockets. The command speaks in the name of `--pid`, so that a unit without NotifyAccess=,
 * such as cri-dockerd's, hears it too. It is `STOPPING=1` because the option `--stopping` came with systemd 253, after Debian 12.
 * @returns whether systemd was told, or nobody wants to be.
 */
export async function notifySystemd(
  state: '--ready' | 'STOPPING=1' | 'WATCHDOG=1',
  logger: Logger,
  env = process.env,
): Promise<boolean> {
  if (env.NOTIFY_SOCKET === undefined) return true;
  return new Promise((resolve) => {
    execFile('systemd-notify', [state, `--pid=${process.pid}`], { timeout: 5_000, env }, (error) => {
      if (error !== null) logger.warn('Cannot notify systemd', { state, error: messageOf(error) });
      resolve(error === null);
    });
  });
}

/**
 * We send four signs of life in the time that systemd waits for one, so that one lost sign or late answer causes no restart.
 */
const SIGNS = 4;

/** After how long a sign that could not be sent is tried again, ms: the node may not be able to fork for a moment. */
const RETRY_MS = 3_000;

/** A part of the daemon without which it serves nobody, and which a restart brings back. */
export interface WatchedPart {
  readonly name: string;
  /** @returns what is wrong with it; undefined as long as it answers. */
  problem(): Promise<string | undefined>;
}

export interface WatchdogParts {
  readonly intervalMs: number;
  readonly retryMs?: number;
  readonly parts: readonly WatchedPart[];
  /** Tells systemd that we live. @returns whether it was told. */
  readonly notify: () => Promise<boolean>;
  /** Called when the watchdog has stopped, and notifies no more. */
  readonly end?: () => void;
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
 * Tells systemd again and again that the daemon lives, as long as its parts answer; systemd kills and restarts one that it does
 * not hear of (docs/adr/0038-units-and-packages.md). The message itself shows that the event loop turns.
 */
export class Watchdog {
  private readonly stopped = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private told = '';
  /** Looks that have not ended yet: a part is not asked again before it has answered. */
  private readonly looks = new Map<WatchedPart, Promise<string | undefined>>();

  constructor(private readonly options: WatchdogParts) {}

  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.running;
    this.options.end?.();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      // The parts are asked before the round begins. A part with a time limit as long as the round can then still report its
      // own reason.
      const looks = this.options.parts.map((part) => this.look(part));
      const round = new Round(this.options.intervalMs, signal);
      if (await this.allAnswer(looks, round)) await this.tell(round);
      await round.end;
    }
  }

  /** Tries until systemd was told, or until it is time for the next look, after which it is tried again. */
  private async tell(round: Round): Promise<void> {
    const { notify, retryMs = RETRY_MS } = this.options;
    while (!(await notify()) && !round.isOver) await pause(retryMs, this.stopped.signal);
  }

  private async allAnswer(looks: readonly Promise<string | undefined>[], round: Round): Promise<boolean> {
    const { parts, logger, intervalMs } = this.options;
    const late = round.end.then(() => `has not answered for ${intervalMs / 1000} s`);
    const found = await Promise.all(
      looks.map(async (look, at) => {
        const problem = await Promise.race([look, late]);
        return problem === undefined ? [] : [`${parts[at]?.name}: ${problem}`];
      }),
    );
    // Checks that were cut short by the stop prove nothing.
    if (this.stopped.signal.aborted) return false;
    const problems = found.flat().join('; ');
    if (problems !== '' && problems !== this.told)
      logger.error('A part of the daemon does not answer; systemd will restart it', { reason: problems });
    if (problems === '' && this.told !== '') logger.info('All parts of the daemon answer again');
    this.told = problems;
    return problems === '';
  }

  private look(part: WatchedPart): Promise<string | undefined> {
    const look =
      this.looks.get(part) ??
      part
        .problem()
        .catch(messageOf)
        .finally(() => this.looks.delete(part));
    this.looks.set(part, look);
    return look;
  }
}

/** The time from one look to the next. */
class Round {
  isOver = false;
  readonly end: Promise<void>;

  constructor(ms: number, signal: AbortSignal) {
    this.end = pause(ms, signal).then(() => void (this.isOver = true));
  }
}

/**
 * Sends the watchdog's signs of life without a new process for each, so that they also get through while the node cannot
 * fork. Where the helper fails, systemd-notify is executed as for the other messages.
 */
export class SignsOfLife {
  private readonly helper: NotifyHelper | undefined;
  private told = '';

  /** @param program the helper; see NotifyHelper. */
  constructor(
    program: string,
    private readonly logger: Logger,
    private readonly env = process.env,
  ) {
    if (env.NOTIFY_SOCKET !== undefined) this.helper = new NotifyHelper(program, env.NOTIFY_SOCKET);
  }

  /** @returns whether systemd was told, or nobody wants to be. */
  async send(): Promise<boolean> {
    if (this.helper === undefined) return true;
    try {
      await this.helper.send('WATCHDOG=1');
      this.told = '';
      return true;
    } catch (error) {
      const why = messageOf(error);
      if (why !== this.told)
        this.logger.info('The notify helper cannot be used, systemd-notify is executed instead', {
          error: why,
        });
      this.told = why;
    }
    return notifySystemd('WATCHDOG=1', this.logger, this.env);
  }

  /** Ends the helper. */
  end(): void {
    this.helper?.end();
  }
}
