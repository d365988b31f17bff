import { nearest } from '../lib/nearest';
import { CONFIG, environmentName, OPTIONS, type Option } from './options';

const PREFIX = environmentName('');

/** Says why a key of a file is refused. */
export function unknownKey(key: string): string {
  const names = Object.values<Option<unknown>>(OPTIONS).map(({ name }) => name);
  if (key === CONFIG.name) return `"${key}" is an option of the command line, not a key of a file`;
  return `there is no option "${key}"${hint(nearest(key, names), 'dockbridge config default')}`;
}

/** Warnings about variables that look like ours and are not. Whoever set them expects an effect. */
export function unknownVariables(environment: NodeJS.ProcessEnv): string[] {
  const options = Object.values<Option<unknown>>(OPTIONS);
  const known = [CONFIG, ...options].map(({ name }) => environmentName(name));
  // Set by wrappers of ours, and nobody's to mean.
  const ofWrappers = options.map(({ fallbackVariable }) => fallbackVariable);
  return Object.keys(environment)
    .filter((variable) => variable.startsWith(PREFIX) && ![...known, ...ofWrappers].includes(variable))
    .map(
      (variable) =>
        `${variable} changes nothing: there is no such option${hint(nearest(variable, known), 'dockbridge serve --help')}`,
    );
}

function hint(meant: string | undefined, list: string): string {
  return meant === undefined ? ` (${list} lists them all)` : `; the nearest one is ${meant}`;
}
