/** All in ms. */
export interface LinkTimes {
  /** A stopped Engine is asked again this soon: its return must be noticed within 2 s. */
  readonly reconnect: number;
  /** A healthy Engine answers in milliseconds; one that does not is as good as down. */
  readonly probeTimeout: number;
  readonly heartbeat: number;
  /** A net below the events, should the Engine drop one: a list, and inspects only where states differ. */
  readonly resync: number;
  /** How long a write waits for an Engine that is just coming back before it is refused as UNAVAILABLE. */
  readonly writePatience: number;
  /**
   * The same for an Engine that is connected and is slow to say what it is, or what one of its containers is: kubelet would
   * only come again later.
   */
  readonly factsPatience: number;
  /** How long the first list of images may keep the node from being served: pods run without it. */
  readonly imagePatience: number;
  /** An /info that takes longer is asked for once more beside it: it may have been lost. */
  readonly askBeside: number;
  /** How long /info may take before what an earlier process was told of the same Engine serves. */
  readonly recallAfter: number;
}

/** What a daemon uses unless it is told otherwise. */
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
