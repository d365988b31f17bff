/** One session of a container. */
export interface SessionPlace {
  /** Fires when the Engine is about to wait for the session. From then on the output must be read, even if the client reads none. */
  readonly hurried: AbortSignal;
  hurry(): void;
  leave(): void;
}

/**
 * Knows the exec and attach sessions of each container. When the Engine stops or removes a container, it waits (10 s and more)
 * until somebody has read what the container's commands wrote. A session must not keep it waiting.
 */
export class ContainerSessions {
  private readonly sessions = new Map<string, Set<AbortController>>();
  /** How many stops and removals are under way, by container. */
  private readonly ending = new Map<string, number>();

  join(containerId: string): SessionPlace {
    const controller = new AbortController();
    if (this.ending.has(containerId)) controller.abort();
    const places = this.sessions.get(containerId) ?? new Set();
    this.sessions.set(containerId, places.add(controller));
    return {
      hurried: controller.signal,
      hurry: () => controller.abort(),
      leave: () => {
        places.delete(controller);
        if (places.size === 0 && this.sessions.get(containerId) === places) this.sessions.delete(containerId);
      },
    };
  }

  /** Runs `work`, which ends the container, while none of its sessions holds the Engine up. */
  async hurryDuring<T>(containerId: string, work: () => Promise<T>): Promise<T> {
    this.ending.set(containerId, (this.ending.get(containerId) ?? 0) + 1);
    for (const controller of this.sessions.get(containerId) ?? []) controller.abort();
    try {
      return await work();
    } finally {
      const left = (this.ending.get(containerId) ?? 1) - 1;
      if (left > 0) this.ending.set(containerId, left);
      else this.ending.delete(containerId);
    }
  }
}
