import { prints, type Check } from './check';

/** How long a service may take to start or to end. */
const UNIT_SECONDS = 60;

/** Checks that a service runs. */
export function isActive(unit: string): Check {
  return prints(`systemctl is-active ${unit}`, 'active', { note: 'active', withinSeconds: UNIT_SECONDS });
}

/** Checks that no unit runs. A service whose end was not clean is `failed`; one that nobody installed is `unknown`. */
export function isInactive(units: readonly string[]): Check {
  const state = '(inactive|failed|unknown)';
  return prints(`systemctl is-active ${units.join(' ')}`, `${state}(\\n${state}){${units.length - 1}}`, {
    note: units.length === 1 ? 'inactive' : 'inactive for each',
    withinSeconds: UNIT_SECONDS,
  });
}
