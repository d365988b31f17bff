export type LinkState =
  | { readonly ready: true }
  | {
      readonly ready: false;
      readonly reason: string;
      /** Why in one CamelCase word, where it is not that the Engine does not answer. */
      readonly word?: string;
    };

/** A state that knows how long there has been a connection, or none: a new reason for having none changes nothing of that. */
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

  /** ms. */
  get age(): number {
    return performance.now() - this.changedAt;
  }
}
