import type { JsonObject } from './json';

/** One interface of one pod on one network: what its ADD was, and its CHECK and DEL will be, called with. */
export interface Attachment {
  readonly containerId: string;
  readonly networkName: string;
  readonly ifName: string;
  /** Path of the network namespace; '' once it is gone. */
  readonly netns: string;
  /** `CNI_ARGS`, in order. */
  readonly cniArgs: readonly (readonly [string, string])[];
  /** `runtimeConfig` by capability, before the choice of each plugin's own. */
  readonly capabilityArgs: JsonObject;
}
