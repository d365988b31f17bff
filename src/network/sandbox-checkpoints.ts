import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineHostConfig } from '../engine/types';
import { errnoOf, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { DiskLooks } from '../node/disk/disk-looks';
import { listDirectory } from '../node/disk/files';
import type { SandboxRecord } from '../store/records';
import {
  checkpointOf,
  decodeCheckpoint,
  encodeCheckpoint,
  type ReadCheckpoint,
  type SandboxCheckpoint,
} from '../translate/sandbox/cri-dockerd-checkpoint';

/**
 * `auto`: checkpoints are written if cri-dockerd has created its directory. `on`: the directory is created. `off`: no
 * checkpoints are written.
 */
export type CheckpointMode = 'auto' | 'on' | 'off';

export interface SandboxCheckpointsOptions {
  readonly mode: CheckpointMode;
  /** cri-dockerd's root directory. */
  readonly root: string;
  /** dockershim's root directory, whose checkpoints are read and removed. */
  readonly dockershimRoot: string;
  /**
   * Whether a cri-dockerd with that root directory is running. Checkpoints that belong to no sandbox of ours may then be that
   * cri-dockerd's.
   */
  readonly isInUse: () => Promise<boolean>;
  readonly logger: Logger;
}

/** The work that a daemon does on checkpoints. */
export type Checkpoints = Pick<
  SandboxCheckpoints,
  'write' | 'complete' | 'ensure' | 'remove' | 'sandboxes' | 'removeOrphan'
>;

type Operation = 'write' | 'remove' | 'list';

/** Time limit of work on a checkpoint in ms. It is short, because a hanging disk must not delay a pod. */
const LIMIT_MS = 5_000;
/** How many of libuv's four threads may work on checkpoints at the same time. */
const THREADS = 2;
const SANDBOX_ID = /^[0-9a-f]{64}$/;
const DRAFT = /^\.[0-9a-f]{64}\.dockbridge$/;

/**
 * cri-dockerd's checkpoints, one file per sandbox (docs/adr/0024-cri-dockerds-checkpoints.md). They are needed for a return to
 * cri-dockerd, and dockbridge reads them only to complete them. Problems with them never affect a pod.
 */
export class SandboxCheckpoints {
  private readonly directory: string;
  private readonly oldDirectory: string;
  /** Sandboxes that are known to have a valid checkpoint. */
  private readonly kept = new Set<string>();
  /** Drafts that are being written now. */
  private readonly drafts = new Set<string>();
  private readonly failing = new Set<Operation>();
  private readonly looks = new DiskLooks(THREADS, LIMIT_MS);

  constructor(private readonly options: SandboxCheckpointsOptions) {
    this.directory = join(options.root, 'sandbox');
    this.oldDirectory = join(options.dockershimRoot, 'sandbox');
  }

  /** Writes the checkpoint of a sandbox that is about to start. Never rejects. */
  async write(sandboxId: string, checkpoint: SandboxCheckpoint): Promise<void> {
    if (this.options.mode === 'off') return;
    try {
      await this.looks.run('Writing a checkpoint', sandboxId, () =>
        this.replace(sandboxId, checkpoint, false),
      );
      this.succeeded('write');
    } catch (error) {
      this.failed('write', error);
    }
  }

  /**
   * Checks the checkpoint of an existing sandbox. Writes it again when it is missing or when cri-dockerd would not accept it.
   * Never rejects.
   */
  async complete(sandbox: SandboxRecord, host: EngineHostConfig): Promise<void> {
    if (this.options.mode === 'off' || this.kept.has(sandbox.id)) return;
    try {
      await this.looks.run('Completing a checkpoint', sandbox.id, () => this.ensure(sandbox, host, false));
      this.succeeded('write');
    } catch (error) {
      this.failed('write', error);
    }
  }

  /**
   * Like `complete`, but it works in any mode and rejects on failure, for a node that is handed over.
   * @returns whether it has written a checkpoint.
   */
  async ensure(sandbox: SandboxRecord, host: EngineHostConfig, mayMakeDirectory = true): Promise<boolean> {
    const { id } = sandbox;
    if ((await this.read(this.directory, id))?.isSound === true) {
      this.kept.add(id);
      return false;
    }
    const old = await this.read(this.oldDirectory, id);
    return this.replace(id, old ?? checkpointOf(sandbox, host), mayMakeDirectory);
  }

  /** Removes the checkpoint of a sandbox that is gone. Succeeds when there is no checkpoint. Never rejects. */
  async remove(sandboxId: string): Promise<void> {
    this.kept.delete(sandboxId);
    const paths = [this.directory, this.oldDirectory].map((directory) => join(directory, sandboxId));
    try {
      await this.looks.run('Removing a checkpoint', sandboxId, async () => {
        for (const path of paths) await rm(path, { force: true });
      });
      this.succeeded('remove');
    } catch (error) {
      this.failed('remove', error);
    }
  }

  /**
   * Lists the sandboxes that have a checkpoint, including those of cri-dockerd, and removes half-written files of a killed
   * daemon. Never rejects.
   */
  async sandboxes(): Promise<string[]> {
    try {
      return await this.looks.run('Listing checkpoints', this.directory, async () => {
        const names = await listDirectory(this.directory);
        const oldNames = await listDirectory(this.oldDirectory);
        const drafts = names.filter((name) => DRAFT.test(name) && !this.drafts.has(name));
        for (const name of drafts) await rm(join(this.directory, name), { force: true });
        return [...new Set([...names, ...oldNames].filter((name) => SANDBOX_ID.test(name)))];
      });
    } catch (error) {
      this.failed('list', error);
      return [];
    }
  }

  /**
   * Removes the checkpoint of a sandbox that the Engine does not know, unless another program may need the checkpoint. Never
   * rejects.
   */
  async removeOrphan(sandboxId: string): Promise<void> {
    const isInUse = await this.options.isInUse().catch(() => true);
    if (!isInUse) await this.remove(sandboxId);
  }

  /** @returns false when the directory is missing and must not be created. */
  private async replace(
    id: string,
    checkpoint: SandboxCheckpoint,
    mayMakeDirectory: boolean,
  ): Promise<boolean> {
    const name = `.${id}.dockbridge`;
    const draft = join(this.directory, name);
    this.drafts.add(name);
    try {
      if (mayMakeDirectory || this.options.mode === 'on')
        await mkdir(this.directory, { recursive: true, mode: 0o755 });
      await writeFile(draft, encodeCheckpoint(checkpoint), { mode: 0o600 });
      await rename(draft, join(this.directory, id));
      this.kept.add(id);
      return true;
    } catch (error) {
      if (!mayMakeDirectory && this.options.mode === 'auto' && errnoOf(error) === 'ENOENT') return false;
      await rm(draft, { force: true }).catch(() => undefined);
      throw error;
    } finally {
      this.drafts.delete(name);
    }
  }

  private async read(directory: string, id: string): Promise<ReadCheckpoint | undefined> {
    try {
      return decodeCheckpoint(await readFile(join(directory, id), 'utf8'));
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
      throw error;
    }
  }

  /** Logs each kind of problem once, not once per pod. */
  private failed(operation: Operation, error: unknown): void {
    if (this.failing.has(operation)) return;
    this.failing.add(operation);
    this.options.logger.warn(
      "Cannot maintain cri-dockerd's checkpoints; pods keep running, but after a return to cri-dockerd their host ports may remain",
      { operation, directory: this.directory, error: messageOf(error) },
    );
  }

  private succeeded(operation: Operation): void {
    if (this.failing.delete(operation))
      this.options.logger.info("cri-dockerd's checkpoints are maintained again", { operation });
  }
}

/** Does nothing with checkpoints, for a daemon that only observes. The runtime that serves the pods keeps them. */
export class UntouchedCheckpoints implements Checkpoints {
  write(): Promise<void> {
    return Promise.resolve();
  }

  complete(): Promise<void> {
    return Promise.resolve();
  }

  ensure(): Promise<boolean> {
    return Promise.resolve(false);
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }

  sandboxes(): Promise<string[]> {
    return Promise.resolve([]);
  }

  removeOrphan(): Promise<void> {
    return Promise.resolve();
  }
}
