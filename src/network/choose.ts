import { invalidArgument } from '../lib/errors';
import { CniNetwork, type CniOptions } from './cni/cni-network';
import { ObservedCni, type ObservedCniOptions } from './cni/observed-cni';
import { NodePods, type NetworkChoice } from './node-pods';
import type { PodNetwork } from './pod-network';

/** @param plugin `--network-plugin`: auto, cni, or no-op and '' for the Engine's bridge, as with cri-dockerd. */
export async function choosePodNetwork(plugin: string, cni: CniOptions): Promise<PodNetwork> {
  const choice = networkChoice(plugin);
  return new NodePods(await CniNetwork.open(cni, choice), choice, cni.logger, cni.onUnserved);
}

/** The same for a daemon that changes nothing. */
export async function observePodNetwork(plugin: string, cni: ObservedCniOptions): Promise<PodNetwork> {
  const choice = networkChoice(plugin);
  return new NodePods(await ObservedCni.open(cni, choice !== 'bridge'), choice, cni.logger);
}

/** @throws INVALID_ARGUMENT for what `--network-plugin` does not take. */
export function networkChoice(plugin: string): NetworkChoice {
  if (plugin === 'no-op' || plugin === '') return 'bridge';
  if (plugin === 'auto' || plugin === 'cni') return plugin;
  throw invalidArgument(
    '--network-plugin',
    `"${plugin}" is none of auto, cni, no-op (CNI plugins such as calico run under cni)`,
  );
}
