/** The objects of a pod in use. */
export interface LivePod {
  readonly containers: Set<string>;
  readonly hostPort: number | undefined;
}

/** Records what dockbridge has acknowledged to the driver. The invariants compare it with the node. */
export class Ledger {
  /** Sandboxes and containers whose creation was acknowledged, each with its sandbox. */
  readonly created = new Map<string, string>();
  /** Sandboxes and containers whose removal was acknowledged. */
  readonly removed = new Set<string>();
  /** Sandboxes in use. */
  readonly live = new Map<string, LivePod>();
  readonly calls: Record<string, number> = {};
  readonly failures: Record<string, number> = {};
  /** Exited containers whose log was compared with the Engine's. */
  logsCompared = 0;
  linesCompared = 0;

  noteRemoved(id: string): void {
    this.removed.add(id);
    this.live.delete(id);
    // Removing a sandbox removes its containers.
    for (const [container, sandbox] of this.created) if (sandbox === id) this.removed.add(container);
    for (const { containers } of this.live.values()) containers.delete(id);
  }

  get liveContainers(): Set<string> {
    return new Set([...this.live.values()].flatMap(({ containers }) => [...containers]));
  }

  /** The ids of objects whose creation was acknowledged, and whose removal was not. */
  get owed(): string[] {
    return [...this.created.keys()].filter((id) => !this.removed.has(id));
  }
}
