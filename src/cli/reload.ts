import type { Configuration } from '../config/configuration';
import type { LiveSettings } from '../config/live-settings';
import type { Settings } from '../config/options';
import type { Override } from '../config/overrides';
import { messageOf } from '../lib/errors';
import type { LineLogger } from '../lib/line-logger';
import type { Logger } from '../lib/logger';

export interface ReloadParts {
  readonly read: () => Promise<Configuration>;
  readonly live: LiveSettings;
  readonly daemon: { prepareReload(settings: Settings): Promise<() => void> };
  readonly logger: LineLogger;
}

/** Applies all settings that may change while we serve, or none of them. Never rejects. */
export async function reload({ read, live, daemon, logger }: ReloadParts): Promise<void> {
  try {
    const { settings, files, warnings, overrides } = await read();
    const takeUp = await daemon.prepareReload(settings);
    takeUp();
    const { changed, needRestart } = live.replace(settings);
    logger.setLevel(live.settings.logLevel);
    for (const warning of warnings) logger.warn('Something in the configuration has no effect', { warning });
    logger.info('The configuration was read again', { files, changed });
    logOverrides(logger, overrides);
    if (needRestart.length > 0)
      logger.warn('Changed options take effect only after a restart', {
        options: needRestart,
      });
  } catch (error) {
    logger.error('Cannot read the configuration again; all settings stay as they were', {
      error: messageOf(error),
    });
  }
}

/** Logs each value of a file that a flag or a variable overrides. This is not a warning, because an override may be intended. */
export function logOverrides(logger: Pick<Logger, 'info'>, overrides: readonly Override[]): void {
  for (const { option, ...override } of overrides)
    logger.info('A flag or a variable overrides an option of a configuration file', {
      option: `--${option}`,
      ...override,
    });
}

/** Requests to read the configuration again. They wait until `begin` is called. */
export class Reloads {
  private work: (() => Promise<void>) | undefined;
  private isWanted = false;
  private isRunning = false;

  /** A request during a reload causes another reload, because the files may have changed since the first reload read them. */
  readonly request = (): void => {
    this.isWanted = true;
    this.pump();
  };

  /** @param work never rejects. */
  begin(work: () => Promise<void>): void {
    this.work = work;
    this.pump();
  }

  private pump(): void {
    if (!this.isWanted || this.isRunning || this.work === undefined) return;
    this.isWanted = false;
    this.isRunning = true;
    void this.work().finally(() => {
      this.isRunning = false;
      this.pump();
    });
  }
}
