import { RuntimeError } from '../lib/errors';
import { nearest } from '../lib/nearest';
import { CONFIG, environmentName, OPTIONS, type Option } from './options';

/** A mistake in a configuration, and its place. */
export interface Fault {
  /** The file's path as the user wrote it; '' for a flag or a variable, which the message names. */
  readonly file: string;
  /** Counted from 1; 0 if no line is at fault. */
  readonly line: number;
  readonly message: string;
}

/** Renders a mistake in one line for people: `/etc/dockbridge/config.yaml:3: …`. */
export function faultLine({ file, line, message }: Fault): string {
  if (file === '') return message;
  return line === 0 ? `${file}: ${message}` : `${file}:${line}: ${message}`;
}

/** Thrown for a configuration that cannot be used. */
export class ConfigurationError extends RuntimeError {
  constructor(readonly faults: readonly Fault[]) {
    super('INVALID_ARGUMENT', faults.map(faultLine).join('\n'));
    this.name = 'ConfigurationError';
  }
}

const PREFIX = environmentName('');

/** Returns the reason why a key of a file is refused. */
export function unknownKey(key: string): string {
  const names = Object.values<Option<unknown>>(OPTIONS).map(({ name }) => name);
  if (key === CONFIG.name) return `"${key}" is an option of the command line, not a key of a file`;
  return `there is no option "${key}"${hint(nearest(key, names), 'dockbridge config default')}`;
}

/** Returns warnings about variables that look like ours but are not. The person who set such a variable expects an effect. */
export function unknownVariables(environment: NodeJS.ProcessEnv): string[] {
  const options = Object.values<Option<unknown>>(OPTIONS);
  const known = [CONFIG, ...options].map(({ name }) => environmentName(name));
  // dockbridge's own wrappers set these variables, although they are not options.
  const ofWrappers = options.map(({ fallbackVariable }) => fallbackVariable);
  return Object.keys(environment)
    .filter((variable) => variable.startsWith(PREFIX) && ![...known, ...ofWrappers].includes(variable))
    .map(
      (variable) =>
        `${variable} has no effect: there is no such option${hint(nearest(variable, known), 'dockbridge serve --help')}`,
    );
}

function hint(meant: string | undefined, list: string): string {
  return meant === undefined ? ` (${list} lists them all)` : `; the nearest one is ${meant}`;
}
