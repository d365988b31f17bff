import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { messageOf } from '../../lib/errors';
import { listDirectory } from '../../node/disk/files';
import { parseObject, type JsonObject } from './json';
import { parseNetworkList, parseSinglePlugin, type NetworkConfig } from './network-config';

export interface FoundConfig {
  /** The configuration in the first valid file, in lexical order. */
  readonly config: NetworkConfig | undefined;
  /** Its path. */
  readonly file: string;
  /** Why files before it (all, when there is none) were passed over, each with its path. */
  readonly problems: readonly string[];
}

const ENDINGS = ['.conf', '.conflist', '.json'];

/** Looks for the network of a node; a directory that does not exist is an empty one. */
export async function findConfig(directory: string): Promise<FoundConfig> {
  const problems: string[] = [];
  for (const name of await configNames(directory)) {
    const file = join(directory, name);
    try {
      return { config: await readConfig(file), file, problems };
    } catch (error) {
      problems.push(`${file}: ${messageOf(error)}`);
    }
  }
  return { config: undefined, file: '', problems };
}

async function readConfig(file: string): Promise<NetworkConfig> {
  const json = await readFile(file, 'utf8');
  if (extname(file) !== '.conflist') return parseSinglePlugin(json);
  const list = parseObject(json);
  // CNI 1.1: plugins may also be dropped as files into a directory named after the network.
  if (list === undefined || list.loadOnlyInlinedPlugins === true || typeof list.name !== 'string')
    return parseNetworkList(json);
  return parseNetworkList(json, await droppedPlugins(join(file, '..', list.name)));
}

async function droppedPlugins(directory: string): Promise<JsonObject[]> {
  const names = (await listDirectory(directory)).filter((name) => extname(name) === '.conf').sort();
  return Promise.all(
    names.map(async (name) => {
      const plugin = parseObject(await readFile(join(directory, name), 'utf8'));
      if (plugin === undefined) throw new Error(`${join(directory, name)} is not a JSON object`);
      return plugin;
    }),
  );
}

async function configNames(directory: string): Promise<string[]> {
  return (await listDirectory(directory)).filter((name) => ENDINGS.includes(extname(name))).sort();
}
