import { type ContainerRecords, ContainerTable, type Records, RecordTable } from './record-table';
import { ImageTable } from './image-table';
import { ListedTable } from './listed-table';
import type { DiskUsageRecord, EngineFacts, ForeignRecord, SandboxRecord } from './records';

/**
 * Everything from which dockbridge answers reads. All code can read the records of containers and sandboxes, but only
 * src/containers/life.ts can change them.
 */
export interface Store {
  readonly sandboxes: Records<SandboxRecord>;
  readonly containers: ContainerRecords;
  /** Entries of the Engine's first list, each kept until its container has been inspected. */
  readonly listed: ListedTable;
  /** Containers that do not belong to a pod, kept because of the images that they use. */
  readonly foreign: Records<ForeignRecord>;
  readonly images: ImageTable;
  /** Undefined until the first measurement. */
  diskUsage: DiskUsageRecord | undefined;
  /** Known earlier than `engine`, because an Engine may be slow to report its facts. */
  engineVersion: string | undefined;
  /** Undefined until the Engine has reported its facts once. Kept while the Engine is down. */
  engine: EngineFacts | undefined;
  /** Whether `engine` comes from an answer that the Engine gave to an earlier process. */
  isEngineRecalled: boolean;
  /** The node's pod CIDR from kubelet's last UpdateRuntimeConfig; '' before the first one. */
  podCidr: string;
}

/** The store with tables that can be changed, for src/containers alone. All other code gets it as a `Store`. */
export class WritableStore implements Store {
  readonly sandboxes = new RecordTable<SandboxRecord>();
  readonly containers = new ContainerTable();
  readonly listed = new ListedTable();
  readonly foreign = new RecordTable<ForeignRecord>();
  readonly images = new ImageTable();
  diskUsage: DiskUsageRecord | undefined;
  engineVersion: string | undefined;
  engine: EngineFacts | undefined;
  isEngineRecalled = false;
  podCidr = '';
}
