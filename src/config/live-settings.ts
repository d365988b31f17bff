import { OPTIONS, type Option, type SettingKey, type Settings } from './options';

/** The names of the options that a reload has changed, and of those that need a restart. */
export interface ReloadOutcome {
  readonly changed: readonly string[];
  readonly needRestart: readonly string[];
}

/**
 * The settings of a daemon. A setting that the table marks as live always has the value of the latest reload, so code must read
 * it each time and keep no copy. All other settings keep the value that they had at the start.
 */
export class LiveSettings {
  readonly settings: Settings;

  constructor(private current: Settings) {
    const properties = (Object.keys(OPTIONS) as SettingKey[]).map(
      (key) => [key, { enumerable: true, get: (): unknown => this.current[key] }] as const,
    );
    this.settings = Object.defineProperties({}, Object.fromEntries(properties)) as Settings;
  }

  /** @returns the changes that `replace` would make, without making them. */
  compare(next: Settings): ReloadOutcome {
    const other = (Object.entries(OPTIONS) as [SettingKey, Option<unknown>][])
      .filter(([key]) => JSON.stringify(this.current[key]) !== JSON.stringify(next[key]))
      .map(([key, { name, reload }]) => ({
        name: `--${name}`,
        isLive: reload === 'live' && this.canChange(key, next),
      }));
    const named = (isLive: boolean): string[] =>
      other.filter((one) => one.isLive === isLive).map(({ name }) => name);
    return { changed: named(true), needRestart: named(false) };
  }

  /** Applies all live settings of `next` at once. */
  replace(next: Settings): ReloadOutcome {
    const outcome = this.compare(next);
    const taken = (Object.entries(OPTIONS) as [SettingKey, Option<unknown>][])
      .filter(([, { name }]) => outcome.changed.includes(`--${name}`))
      .map(([key]) => [key, next[key]]);
    this.current = { ...this.current, ...(Object.fromEntries(taken) as Partial<Settings>) };
    return outcome;
  }

  /**
   * Whether a reload can change the setting. A running server can change its certificate, but it cannot start or stop using
   * TLS.
   */
  private canChange(key: SettingKey, next: Settings): boolean {
    if (key !== 'streamingTlsCertFile' && key !== 'streamingTlsPrivateKeyFile') return true;
    return (this.current[key] === '') === (next[key] === '');
  }
}
