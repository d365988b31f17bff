import { messageOf } from '../lib/errors';
import { CONFIG_PLACE, readConfigFiles } from './config-files';
import { ConfigurationError, type Fault } from './fault';
import {
  ignoredOptions,
  resolveSettings,
  sourcedOptions,
  type FileValues,
  type Given,
  type Settings,
} from './options';
import { unknownVariables } from './unknown-names';

/** Command line, environment and files together, wherever there is something wrong with them. */
export interface ReadConfiguration {
  /** Those that were read, in their order. */
  readonly files: readonly string[];
  readonly values: FileValues;
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
}

export interface Configuration extends Omit<ReadConfiguration, 'faults'> {
  readonly settings: Settings;
  readonly ignored: readonly { readonly name: string; readonly why: string }[];
}

export async function readConfiguration(
  given: Given,
  environment: NodeJS.ProcessEnv,
  place = CONFIG_PLACE,
): Promise<ReadConfiguration> {
  const found = await readConfigFiles(given, environment, place);
  const faults = [...found.faults];
  let values: FileValues = {};
  for (const { path, text } of found.files) {
    // A file of comments, as the package installs it, must not cost the start of a daemon the load of a parser.
    if (!/^[^\S\n]*[^#\s]/m.test(text)) continue;
    const { readConfigText } = await import('./config-text.js');
    const read = readConfigText(path, text);
    faults.push(...read.faults);
    values = { ...values, ...read.values };
  }
  // What files say was looked at line by line.
  for (const [, { parse }, { from, place: at, text }] of sourcedOptions(given, environment, values)) {
    if (from === 'file') continue;
    try {
      parse(text, at);
    } catch (error) {
      faults.push({ file: '', line: 0, message: messageOf(error) });
    }
  }
  const warnings = [...found.warnings, ...unknownVariables(environment)];
  return { files: found.files.map(({ path }) => path), values, faults, warnings };
}

/**
 * Like loadConfiguration, for those who look at a node in trouble: what is wrong in files is told, and what is right in them
 * counts.
 * @throws ConfigurationError with what is wrong in flags and variables.
 */
export async function loadDespiteFiles(
  given: Given,
  environment: NodeJS.ProcessEnv,
  place = CONFIG_PLACE,
): Promise<{ readonly settings: Settings; readonly faults: readonly Fault[] }> {
  const { faults, values } = await readConfiguration(given, environment, place);
  const elsewhere = faults.filter(({ file }) => file === '');
  if (elsewhere.length > 0) throw new ConfigurationError(elsewhere);
  return { settings: resolveSettings(given, environment, values), faults };
}

/** @throws ConfigurationError with all that is wrong. */
export async function loadConfiguration(
  given: Given,
  environment: NodeJS.ProcessEnv,
  place = CONFIG_PLACE,
): Promise<Configuration> {
  const { faults, ...read } = await readConfiguration(given, environment, place);
  if (faults.length > 0) throw new ConfigurationError(faults);
  return {
    ...read,
    settings: resolveSettings(given, environment, read.values),
    ignored: ignoredOptions(given, environment, read.values),
  };
}
