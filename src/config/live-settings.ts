import { OPTIONS, type Option, type SettingKey, type Settings } from './options';

/** What a reload has changed, and what it had to leave to a restart, by option name. */
export interface ReloadOutcome {
  readonly changed: readonly string[];
  readonly needRestart: readonly string[];
}

/**
 * The settings of a daemon. A setting that the table marks as live has the value of the latest reload whenever it is read, so
 * its users must read it when they need it and keep no copy. All others keep the value that they had at the start.
 */
export class LiveSettings {
  readonly settings: Settings;

  constructor(private current: Settings) {
    const properties = (Object.keys(OPTIONS) as SettingKey[]).map(
      (key) => [key, { enumerable: true, get: (): unknown => this.current[key] }] as const,
    );
    this.settings = Object.defineProperties({}, Object.fromEntries(properties)) as Settings;
  }

  /** @returns what `replace` would change, without changing it. */
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

  /** Adopts all live settings of `next` at once. */
  replace(next: Settings): ReloadOutcome {
    const outcome = this.compare(next);
    const taken = (Object.entries(OPTIONS) as [SettingKey, Option<unknown>][])
      .filter(([, { name }]) => outcome.changed.includes(`--${name}`))
      .map(([key]) => [key, next[key]]);
    this.current = { ...this.current, ...(Object.fromEntries(taken) as Partial<Settings>) };
    return outcome;
  }

  /** A running server can change its certificate, but it cannot start or stop using TLS. */
  private canChange(key: SettingKey, next: Settings): boolean {
    if (key !== 'streamingTlsCertFile' && key !== 'streamingTlsPrivateKeyFile') return true;
    return (this.current[key] === '') === (next[key] === '');
  }
}
