import { join } from 'node:path';
import { CONFIG_PLACE, knownFlags, readConfigFiles } from '../../config/configuration';
import { readConfigText } from '../../config/config-yaml';
import { CONFIG, environmentName, type FileValues } from '../../config/options';
import { readText } from '../../node/disk/files';
import type { NodeProcess } from '../../node/process/node-processes';
import { BRIDGE_OPTIONS } from '../bridge';
import type { Sourced } from '../facts';
import type { NodeRoot } from './node-root';

const ENVIRONMENT_FILE = '/etc/default/dockbridge';

/**
 * Reads the options that dockbridge has from its environment and its files, as dockbridge does (docs/configuration.md). Without a
 * running bridge, reads those with which dockbridge would start. cri-dockerd has flags only.
 */
export async function readBridgeOptions(
  node: NodeRoot,
  programs: readonly NodeProcess[],
): Promise<Record<string, Sourced>> {
  const bridge = programs.find(({ name }) => name === 'dockbridge');
  if (bridge === undefined && programs.some(({ name }) => name === 'cri-dockerd')) return {};
  const environment = await environmentOf(node, bridge?.pid);
  const values = await fileValues(node, knownFlags(bridge?.args ?? []), environment);
  const options: Record<string, Sourced> = {};
  for (const name of BRIDGE_OPTIONS) {
    const variable = environmentName(name);
    const file = values[name];
    const [value, from] =
      environment[variable] === undefined
        ? [file?.text ?? '', file?.at === undefined ? '' : `${nodePath(node, file.at.file)}:${file.at.line}`]
        : [environment[variable], variable];
    if (value !== '') options[name] = { value, from };
  }
  return options;
}

/** Returns dockbridge's variables: those of its process, or else those of the file that its unit names. */
async function environmentOf(node: NodeRoot, pid: number | undefined): Promise<Record<string, string>> {
  const ofProcess =
    pid === undefined ? undefined : await readText(join(node.root, 'proc', String(pid), 'environ'));
  const lines =
    ofProcess?.split('\0') ??
    ((await node.text(ENVIRONMENT_FILE)) ?? '').split('\n').map((line) => line.trim());
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, name = '', value = ''] = /^(DOCKBRIDGE_\w+)=(.*)$/s.exec(line) ?? [];
      return name === '' ? [] : [[name, value.replace(/^(["'])(.*)\1$/s, '$2')]];
    }),
  );
}

async function fileValues(
  node: NodeRoot,
  given: Readonly<Partial<Record<string, string>>>,
  environment: Readonly<Record<string, string>>,
): Promise<FileValues> {
  const named = given[CONFIG.name] ?? environment[environmentName(CONFIG.name)] ?? '';
  const { files } = await readConfigFiles(
    named === '' ? given : { ...given, [CONFIG.name]: await placeOf(node, named) },
    environment,
    { file: await placeOf(node, CONFIG_PLACE.file), directory: await placeOf(node, CONFIG_PLACE.directory) },
  );
  let values: FileValues = {};
  for (const { path, text } of files) values = { ...values, ...readConfigText(path, text).values };
  return values;
}

/** A path that does not exist stays as it is below the root. */
async function placeOf(node: NodeRoot, path: string): Promise<string> {
  return node.locate(path).catch(() => join(node.root, path));
}

function nodePath({ root, isOwn }: NodeRoot, place: string): string {
  return isOwn ? place : place.slice(root.length);
}
