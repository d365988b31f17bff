import { failedPrecondition } from '../lib/errors';
import type { NetworkCondition, PodNetwork } from './pod-network';

/**
 * A CNI configuration is installed, and this version cannot run it. Putting such pods on the Engine's bridge would be a
 * lie to the cluster: NetworkReady is false and only host-network pods start.
 */
export class UnsupportedCni implements PodNetwork {
  readonly networkMode = 'none';

  constructor(private readonly configFile: string) {}

  condition(): NetworkCondition {
    return {
      ready: false,
      reason: 'NetworkPluginNotReady',
      message: `${this.configFile} asks for CNI, which this version cannot do yet; --network-plugin=no-op uses Docker's bridge`,
    };
  }

  attach(): Promise<readonly string[]> {
    return Promise.reject(failedPrecondition(this.condition().message));
  }

  addressesOf(): readonly string[] {
    return [];
  }
}
