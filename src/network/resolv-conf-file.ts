import { readFile, writeFile } from 'node:fs/promises';
import { wantedResolvConf } from '../translate/resolv-conf';
import type { EngineContainerInspect } from '../translate/engine';

/**
 * Makes a running sandbox's resolv.conf say what its pod was given. In place, not by rename: it is bound into the
 * pod's containers.
 * @throws the system's error when the file is not there, as with an Engine on another machine.
 */
export async function keepResolvConf(sandbox: EngineContainerInspect): Promise<void> {
  const wanted = wantedResolvConf(sandbox);
  if (wanted === undefined) return;
  const present = await readFile(wanted.path, 'utf8');
  if (meaning(present) !== meaning(wanted.text)) await writeFile(wanted.path, wanted.text);
}

/** Lines in any order: only that of the servers matters, and the Engine keeps it. */
function meaning(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .sort((one, other) => Number(one.startsWith('nameserver')) - Number(other.startsWith('nameserver')))
    .join('\n');
}
