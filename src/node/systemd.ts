import { execFile } from 'node:child_process';
import { pause } from '../lib/async/abortable';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { NotifyHelper } from './notify-helper';

/**
 * Notifies systemd of the state of this process; does nothing when NOTIFY_SOCKET is not set. This runs the systemd-notify
 * command, because Node has no datagram Unix sockets. `--pid` makes the message count as ours, so that systemd also accepts it
 * for a unit without NotifyAccess=, such as cri-dockerd's. A stop is reported as `STOPPING=1`, because the option `--stopping`
 * is missing in Debian 12; it came with systemd 253.
 * @returns whether systemd was notified, or did not ask for notifications.
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
 * The number of signs of life in the time in which systemd expects one. More than one is sent, so that one lost sign or late
 * answer causes no restart.
 */
const SIGNS = 4;

/** Milliseconds after which a sign that could not be sent is tried again. The node may temporarily be unable to fork. */
const RETRY_MS = 3_000;

/** A part of the daemon without which the daemon cannot serve, and which a restart can repair. */
export interface WatchedPart {
  readonly name: string;
  /** @returns what is wrong with the part; undefined as long as it answers. */
  problem(): Promise<string | undefined>;
}

export interface WatchdogParts {
  readonly intervalMs: number;
  readonly retryMs?: number;
  readonly parts: readonly WatchedPart[];
  /**
   * Sends systemd a sign of life.
   * @returns whether systemd was notified.
   */
  readonly notify: () => Promise<boolean>;
  /** Called when the watchdog has stopped and will send no more signs. */
  readonly end?: () => void;
  readonly logger: Logger;
}

/**
 * Returns the interval in ms at which systemd expects signs of life from this process (`WatchdogSec=` of the unit); undefined
 * when it expects none. The environment variables apply only to the process that WATCHDOG_PID names, not to processes that
 * inherit them (sd_watchdog_enabled(3)).
 */
export function watchdogInterval(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const limitMs = Number(env.WATCHDOG_USEC) / 1000;
  const isOurs = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === pid;
  return isOurs && limitMs > 0 && Number.isFinite(limitMs) ? limitMs / SIGNS : undefined;
}

/**
 * Sends systemd regular signs of life as long as the daemon's parts answer. Without these signs, systemd kills and restarts the
 * daemon (docs/adr/0038-units-and-packages.md). The message itself also shows that the event loop is running.
 */
export class Watchdog {
  private readonly stopped = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private told = '';
  /** The parts that have not answered yet. A part is not asked again before it has answered. */
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

  /** Tries to notify systemd until it succeeds or until the next look is due. The next look tries again. */
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
    // A check that the stop cut short proves nothing.
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
 * Sends the watchdog's signs of life without starting a process for each, so that they are also sent while the node cannot
 * fork. If the helper fails, systemd-notify is executed, as for the other messages.
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

  /** @returns whether systemd was notified, or did not ask for notifications. */
  async send(): Promise<boolean> {
    if (this.helper === undefined) return true;
    try {
      await this.helper.send('WATCHDOG=1');
      this.told = '';
      return true;
    } catch (error) {
      const why = messageOf(error);
      if (why !== this.told)
        this.logger.info('The notify helper cannot be used; executing systemd-notify instead', {
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
