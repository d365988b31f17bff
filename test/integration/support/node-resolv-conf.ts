import { readFile } from 'node:fs/promises';
import { namesOnlyStub } from '../../../src/translate/sandbox/resolv-conf';

/**
 * Returns the resolv.conf for a pod without DNS settings: the node's file, or the file behind
 * systemd-resolved's stub.
 */
export async function nodeResolvConf(hostNetwork = false): Promise<string> {
  const text = await readFile('/etc/resolv.conf', 'utf8');
  if (hostNetwork || !namesOnlyStub(text)) return text;
  return readFile('/run/systemd/resolve/resolv.conf', 'utf8').catch(() => text);
}
