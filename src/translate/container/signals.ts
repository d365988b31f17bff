import { constants } from 'node:os';
import { invalidArgument } from '../../lib/errors';
import { Signal } from '../../proto/enums';

const PREFIX = 'SIGNAL_';

/** Converts CRI's Signal to the Engine's name (`SIGTERM`, `SIGRTMIN+3`); '' for SIGNAL_RUNTIME_DEFAULT. */
export function toEngineSignal(signal: number, field: string): string {
  if (signal === Signal.SIGNAL_RUNTIME_DEFAULT) return '';
  const key = Object.entries(Signal).find(([, number]) => number === signal)?.[0];
  if (key === undefined) throw invalidArgument(field, `unknown signal number ${signal}`);
  return key.slice(PREFIX.length).replace('PLUS', '+').replace('MINUS', '-');
}

/**
 * Converts a signal to CRI's Signal. The text is the Engine's name with or without SIG, or Linux's number, as in
 * Dockerfiles. Returns 0 (runtime default) for '' and for a signal without a name in CRI.
 */
export function toCriSignal(name: string): Signal {
  if (name === '') return Signal.SIGNAL_RUNTIME_DEFAULT;
  const numbered = Object.entries(constants.signals).find(([, number]) => String(number) === name)?.[0];
  const upper = (numbered ?? name).toUpperCase().replace('+', 'PLUS').replace('-', 'MINUS');
  const key = PREFIX + (upper.startsWith('SIG') ? upper : `SIG${upper}`);
  return Object.entries(Signal).find(([known]) => known === key)?.[1] ?? Signal.SIGNAL_RUNTIME_DEFAULT;
}
