/** All in ms. */
export interface LinkTimes {
  /** How soon a stopped Engine is asked again. Its return must be noticed within 2 s. */
  readonly reconnect: number;
  /** A healthy Engine answers in milliseconds; one that takes this long is treated as down. */
  readonly probeTimeout: number;
  readonly heartbeat: number;
  /** How often a list is compared with the store, in case the Engine drops an event. Only differing states are inspected. */
  readonly resync: number;
  /** How long a write waits for an Engine that is just coming back before it is refused as UNAVAILABLE. */
  readonly writePatience: number;
  /**
   * The same for an Engine that is connected and slow to tell its facts or to inspect a container: a refusal would only make
   * kubelet come back later.
   */
  readonly factsPatience: number;
  /** How long the first list of images may keep the node from being served: pods run without it. */
  readonly imagePatience: number;
  /** When /info takes longer than this it may have been lost, so a second one is sent. */
  readonly askBeside: number;
  /** How long /info may take before the answer that an earlier process got from the same Engine is used. */
  readonly recallAfter: number;
}

/** The times of a daemon; tests use others. */
export const LINK_TIMES: LinkTimes = {
  reconnect: 300,
  probeTimeout: 5_000,
  heartbeat: 10_000,
  resync: 60_000,
  writePatience: 2_000,
  factsPatience: 15_000,
  imagePatience: 2_000,
  askBeside: 5_000,
  recallAfter: 1_000,
};
