import type { SettingRow } from './row';
import { API_ROWS } from './rows/api';
import { CONTAINER_ROWS } from './rows/containers';
import { LOG_ROWS } from './rows/logs';
import { NETWORK_ROWS } from './rows/network';
import { REGISTRY_ROWS } from './rows/registries';
import { RUNTIME_ROWS } from './rows/runtimes';
import { STORAGE_ROWS } from './rows/storage';

/**
 * Every key of dockerd's configuration on Linux and what becomes of it. The keys are those in docker/cli docs/reference/dockerd.md
 * and in the structs of moby daemon/config, and also keys of older Engines that are still found in daemon.json files.
 */
export const SETTING_ROWS: readonly SettingRow[] = [
  ...REGISTRY_ROWS,
  ...RUNTIME_ROWS,
  ...CONTAINER_ROWS,
  ...STORAGE_ROWS,
  ...LOG_ROWS,
  ...NETWORK_ROWS,
  ...API_ROWS,
];

/** Returns the row of a setting; undefined for an unknown key. A row with exactly this key takes precedence over one with `*`. */
export function rowOf(path: readonly string[]): SettingRow | undefined {
  const key = path.join('.');
  return (
    SETTING_ROWS.find((row) => row.key === key) ??
    SETTING_ROWS.find((row) => matches(row.key.split('.'), path))
  );
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  return (
    pattern.length === path.length && pattern.every((part, index) => part === '*' || part === path[index])
  );
}
