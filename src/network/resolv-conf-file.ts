import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { wantedResolvConf } from '../translate/resolv-conf';
import type { EngineContainerInspect } from '../translate/engine';

/** Far above any DNS configuration. A pod can write into its own file, so more than this is not read. */
const MAX_BYTES = 64 * 1024;

/**
 * Makes a running sandbox's resolv.conf say what its pod was given. In place, not by rename: it is bound into the
 * pod's containers.
 * @throws the system's error when the file is not there, as with an Engine on another machine.
 */
export async function keepResolvConf(sandbox: EngineContainerInspect): Promise<void> {
  const wanted = wantedResolvConf(sandbox);
  if (wanted === undefined) return;
  const file = await open(wanted.path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0);
    const present = buffer.toString('utf8', 0, bytesRead);
    if (bytesRead <= MAX_BYTES && meaning(present) === meaning(wanted.text)) return;
    await file.truncate();
    await file.write(wanted.text, 0);
  } finally {
    await file.close();
  }
}

/** Lines in any order: only that of the servers matters, and the Engine keeps it. */
function meaning(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const isServer = (line: string): boolean => line.startsWith('nameserver');
  return [...lines.filter((line) => !isServer(line)).sort(), ...lines.filter(isServer)].join('\n');
}
