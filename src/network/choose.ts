import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, invalidArgument } from '../lib/errors';
import { DockerBridge } from './docker-bridge';
import type { PodNetwork } from './pod-network';
import { UnsupportedCni } from './unsupported-cni';

/**
 * `cni` (default): CNI where a configuration is installed, else the Engine's bridge, so that a bare machine works with
 * no configuration (design.md, decision 7). `no-op` or '': always the bridge, as with cri-dockerd.
 */
export async function choosePodNetwork(plugin: string, cniConfDir: string): Promise<PodNetwork> {
  if (plugin === 'no-op' || plugin === '') return new DockerBridge();
  if (plugin !== 'cni') {
    throw invalidArgument(
      '--network-plugin',
      `"${plugin}" is none of cni, no-op (CNI plugins such as calico run under cni)`,
    );
  }
  const config = (await listDirectory(cniConfDir))
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .sort()[0];
  return config === undefined ? new DockerBridge() : new UnsupportedCni(join(cniConfDir, config));
}

async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
