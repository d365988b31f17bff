export type LinkState =
  | { readonly ready: true }
  | {
      readonly ready: false;
      readonly reason: string;
      /** The reason as one CamelCase word; undefined when the Engine only fails to answer. */
      readonly word?: string;
    };

/** A state that knows how long the Engine has been connected or lost. A new reason for the loss does not restart that time. */
export class DatedLinkState {
  private changedAt = performance.now();

  constructor(private state: LinkState) {}

  get value(): LinkState {
    return this.state;
  }

  set value(next: LinkState) {
    if (next.ready !== this.state.ready) this.changedAt = performance.now();
    this.state = next;
  }

  /** How long the Engine has been connected or lost, in ms. */
  get age(): number {
    return performance.now() - this.changedAt;
  }
}
