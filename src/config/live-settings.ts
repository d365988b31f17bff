import { OPTIONS, type Option, type SettingKey, type Settings } from './options';

/** What a reload has changed, and what it had to leave to a restart, by option name. */
export interface ReloadOutcome {
  readonly changed: readonly string[];
  readonly needRestart: readonly string[];
}

/**
 * The settings of a daemon. What the table calls live is that of the latest reload each time it is read, so whoever needs it
 * reads it late; all else stays as it was at the start.
 */
export class LiveSettings {
  readonly settings: Settings;

  constructor(private current: Settings) {
    const properties = (Object.keys(OPTIONS) as SettingKey[]).map(
      (key) => [key, { enumerable: true, get: (): unknown => this.current[key] }] as const,
    );
    this.settings = Object.defineProperties({}, Object.fromEntries(properties)) as Settings;
  }

  /** What `replace` would do. */
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

  /** Takes up what is live in `next`, all at once. */
  replace(next: Settings): ReloadOutcome {
    const outcome = this.compare(next);
    const taken = (Object.entries(OPTIONS) as [SettingKey, Option<unknown>][])
      .filter(([, { name }]) => outcome.changed.includes(`--${name}`))
      .map(([key]) => [key, next[key]]);
    this.current = { ...this.current, ...(Object.fromEntries(taken) as Partial<Settings>) };
    return outcome;
  }

  /** A server that speaks TLS can have another certificate; it cannot begin or cease to speak it. */
  private canChange(key: SettingKey, next: Settings): boolean {
    if (key !== 'streamingTlsCertFile' && key !== 'streamingTlsPrivateKeyFile') return true;
    return (this.current[key] === '') === (next[key] === '');
  }
}
