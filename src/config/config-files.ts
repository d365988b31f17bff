import { join } from 'node:path';
import { errnoOf, messageOf } from '../lib/errors';
import { listDirectory } from '../node/disk/files';
import { SmallFile } from '../node/disk/files';
import type { Fault } from './fault';
import { CONFIG, environmentName, type Given } from './options';

/** All options with their comments take a twentieth of that. */
const MAX_FILE_BYTES = 1024 * 1024;
const EXTENSION = '.yaml';

/** Where configuration files are looked for when none is named. */
export interface ConfigPlace {
  readonly file: string;
  /** Its files are read after that one, in the order of their names. */
  readonly directory: string;
}

export const CONFIG_PLACE: ConfigPlace = {
  file: '/etc/dockbridge/config.yaml',
  directory: '/etc/dockbridge/config.d',
};

export interface FoundFiles {
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
}

/** The files that count, in the order in which they do. One that is named must be there. */
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
  // Editors' and dpkg's leftovers are meant to be passed over; this one its writer expects to count.
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
