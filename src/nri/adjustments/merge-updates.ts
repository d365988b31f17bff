import { failedPrecondition } from '../../lib/errors';
import type { nri } from '../../proto/nri';
import { copyResources, mergeResources, type Resources } from './merge-resources';
import type { Owners } from './owners';

interface Entry {
  resources: Resources;
  ignoreFailure: boolean;
}

/** The container to which the request belongs. */
export type Subject =
  | { readonly kind: 'created'; readonly id: string }
  /** `resources` are what kubelet asks for. */
  | {
      readonly kind: 'updated';
      readonly id: string;
      readonly resources: nri.ILinuxResources | null | undefined;
    }
  | { readonly kind: 'stopped' };

/** The updates of running containers for which several plugins ask in their answers to one request. */
export class UpdatesMerge {
  private readonly entries = new Map<string, Entry>();
  /** What kubelet asks for, with the changes so far. Plugins see it in the request. */
  private own: Resources;

  constructor(
    private readonly subject: Subject,
    private readonly owners: Owners,
  ) {
    this.own = copyResources(subject.kind === 'updated' ? subject.resources : undefined);
  }

  /**
   * Adds the updates of the next plugin.
   * @throws RuntimeError FAILED_PRECONDITION at a conflict, unless the plugin says that the update may fail, and for an update of the
   * container that is being created.
   */
  apply(plugin: string, updates: readonly nri.IContainerUpdate[]): void {
    for (const update of updates) {
      const id = update.container_id ?? '';
      if (this.subject.kind === 'created' && this.subject.id === id)
        throw failedPrecondition(
          `the NRI plugin "${plugin}" asked for an update of ${id} during its creation`,
        );
      const entry = this.entryOf(id, update.ignore_failure ?? false);
      // A failure that is ignored leaves no half of an update.
      const copy = copyResources(entry.resources);
      try {
        mergeResources(update.linux?.resources, [copy], this.owners.of(id), plugin);
      } catch (error) {
        if (update.ignore_failure === true) continue;
        throw error;
      }
      entry.resources = copy;
      if (this.isOwn(id)) this.own = copy;
    }
  }

  /** What kubelet asks for, as the next plugin sees it. */
  get requested(): nri.ILinuxResources {
    return this.own;
  }

  /** Returns the resources for the container of an update request, or undefined when no plugin changes them. */
  ownResources(): nri.ILinuxResources | undefined {
    return this.subject.kind === 'updated' ? this.entries.get(this.subject.id)?.resources : undefined;
  }

  /** Returns the updates of all other containers. */
  others(): nri.IContainerUpdate[] {
    return [...this.entries].flatMap(([id, { resources, ignoreFailure }]) =>
      this.isOwn(id) ? [] : [{ container_id: id, linux: { resources }, ignore_failure: ignoreFailure }],
    );
  }

  private isOwn(id: string): boolean {
    return this.subject.kind === 'updated' && this.subject.id === id;
  }

  private entryOf(id: string, ignoreFailure: boolean): Entry {
    let entry = this.entries.get(id);
    if (entry === undefined) {
      entry = { resources: this.isOwn(id) ? this.own : copyResources(undefined), ignoreFailure };
      this.entries.set(id, entry);
    } else entry.ignoreFailure &&= ignoreFailure;
    return entry;
  }
}
