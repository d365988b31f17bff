import { join } from 'node:path';
import { errnoOf, messageOf } from '../lib/errors';
import { flagOf } from '../lib/flags';
import { listDirectory, SmallFile } from '../node/disk/files';
import { ConfigurationError, unknownVariables, type Fault } from './fault';
import {
  CONFIG,
  environmentName,
  ignoredOptions,
  OPTIONS,
  resolveSettings,
  sourcedOptions,
  type FileValues,
  type Given,
  type Option,
  type Settings,
} from './options';
import { overriddenValues, type Override } from './overrides';

/** The maximum size of a file in bytes. A file with all options and their comments has less than 10 KB. */
const MAX_FILE_BYTES = 1024 * 1024;
const EXTENSION = '.yaml';

/** The places of configuration files when none is named. */
export interface ConfigPlace {
  readonly file: string;
  /** A directory whose files are read after `file`, in the order of their names. */
  readonly directory: string;
}

export const CONFIG_PLACE: ConfigPlace = {
  file: '/etc/dockbridge/config.yaml',
  directory: '/etc/dockbridge/config.d',
};

/** The values from the files, and the mistakes in the files, the command line and the environment. */
export interface ReadConfiguration {
  /** The files that were read, in order. */
  readonly files: readonly string[];
  readonly values: FileValues;
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
  readonly overrides: readonly Override[];
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
    // The package installs a file that contains only comments. The daemon need not load the parser for it at its start.
    if (!/^[^\S\n]*[^#\s]/m.test(text)) continue;
    const { readConfigText } = await import('./config-yaml.js');
    const read = readConfigText(path, text);
    faults.push(...read.faults);
    values = { ...values, ...read.values };
  }
  // Values from files have been checked already, line by line.
  for (const [, { parse }, { from, place: at, text }] of sourcedOptions(given, environment, values)) {
    if (from === 'file') continue;
    try {
      parse(text, at);
    } catch (error) {
      faults.push({ file: '', line: 0, message: messageOf(error) });
    }
  }
  const warnings = [...found.warnings, ...unknownVariables(environment)];
  const overrides = overriddenValues(given, environment, values);
  return { files: found.files.map(({ path }) => path), values, faults, warnings, overrides };
}

/**
 * Like loadConfiguration, for commands that examine a node with problems. Reports mistakes in files, and uses the correct
 * values of these files.
 * @throws ConfigurationError with all mistakes in flags and variables.
 */
export async function loadDespiteFiles(
  given: Given,
  environment: NodeJS.ProcessEnv,
  place = CONFIG_PLACE,
): Promise<Pick<Configuration, 'settings' | 'overrides'> & Pick<ReadConfiguration, 'faults'>> {
  const { faults, values, overrides } = await readConfiguration(given, environment, place);
  const elsewhere = faults.filter(({ file }) => file === '');
  if (elsewhere.length > 0) throw new ConfigurationError(elsewhere);
  return { settings: resolveSettings(given, environment, values), faults, overrides };
}

/**
 * Reads and parses the configuration for a command that needs a valid one.
 * @throws ConfigurationError with all mistakes.
 */
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

export interface FoundFiles {
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
}

/** Reads the configuration files. Values in later files win. A file that a flag or a variable names must exist. */
export async function readConfigFiles(
  given: Given,
  environment: NodeJS.ProcessEnv,
  place: ConfigPlace = CONFIG_PLACE,
): Promise<FoundFiles> {
  const named = given[CONFIG.name] ?? environment[environmentName(CONFIG.name)];
  if (named === '') return { files: [], faults: [], warnings: [] };
  if (named !== undefined) return readAll([named], false, []);
  let names: string[];
  try {
    names = (await listDirectory(place.directory)).filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    const fault = { file: place.directory, line: 0, message: `cannot be read (${messageOf(error)})` };
    return { files: [], faults: [fault], warnings: [] };
  }
  const paths = names.filter((name) => name.endsWith(EXTENSION)).map((name) => join(place.directory, name));
  // Leftovers of editors and dpkg are skipped silently. But the author of a .yml file expects it to be read, so it is reported.
  const warnings = names
    .filter((name) => name.endsWith('.yml'))
    .map((name) => `${join(place.directory, name)} is not read: its name must end in ${EXTENSION}`);
  return readAll([place.file, ...paths], true, warnings);
}

async function readAll(
  paths: readonly string[],
  mayBeMissing: boolean,
  warnings: readonly string[],
): Promise<FoundFiles> {
  const faults: Fault[] = [];
  const files = await Promise.all(
    paths.map(async (path) => {
      try {
        return { path, text: await new SmallFile(path, MAX_FILE_BYTES).text() };
      } catch (error) {
        const isMissing = errnoOf(error) === 'ENOENT';
        const message = isMissing ? 'there is no such file' : `cannot be read (${messageOf(error)})`;
        if (!isMissing || !mayBeMissing) faults.push({ file: path, line: 0, message });
        return undefined;
      }
    }),
  );
  return { files: files.filter((file) => file !== undefined), faults, warnings };
}

/**
 * Returns those flags of a running cri-dockerd or dockbridge that the option table contains, and the flag that names the
 * configuration file.
 */
export function knownFlags(args: readonly string[]): Given {
  const all: Pick<Option<unknown>, 'name' | 'value'>[] = [CONFIG, ...Object.values(OPTIONS)];
  return Object.fromEntries(
    all.flatMap(({ name, value }) => {
      const text = flagOf(args, name);
      if (text === undefined) return [];
      return [[name, value === undefined && text === '' ? 'true' : text]];
    }),
  );
}
