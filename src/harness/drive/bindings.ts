/** Maps ids of the tape to ids of the endpoint, and back. */
export class Bindings {
  readonly #live = new Map<string, string>();
  readonly #recorded = new Map<string, string>();

  bind(recorded: string, live: string): void {
    this.#live.set(recorded, live);
    this.#recorded.set(live, recorded);
  }

  live(recorded: string): string | undefined {
    return this.#live.get(recorded);
  }

  recorded(live: string): string | undefined {
    return this.#recorded.get(live);
  }
}
