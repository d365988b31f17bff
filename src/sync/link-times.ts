/** All times are in ms. */
export interface LinkTimes {
  /** How soon to try again to reach a stopped Engine. dockbridge must notice its return within 2 s. */
  readonly reconnect: number;
  /**
   * The limit for an answer. A healthy Engine answers in milliseconds, so an Engine that exceeds it is treated as down.
   */
  readonly probeTimeout: number;
  readonly heartbeat: number;
  /**
   * How often the Engine's list is compared with the store, because the Engine may drop events. Only containers that
   * differ are inspected.
   */
  readonly resync: number;
  /** How long a call waits for an Engine that may be coming back, before the call fails as UNAVAILABLE. */
  readonly writePatience: number;
  /**
   * How long a call waits for an Engine that is connected but slow to report its facts or to inspect a container. Refusing
   * the call earlier would only make kubelet repeat it.
   */
  readonly factsPatience: number;
  /**
   * How long the first list of images may delay serving the node. The delay is short because pods run without this list.
   */
  readonly imagePatience: number;
  /** A second /info is sent when the first takes longer than this, because the Engine may have lost it. */
  readonly askBeside: number;
  /** How long /info may take before the saved answer to an earlier process is used. */
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
