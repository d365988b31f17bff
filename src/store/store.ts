import { type ContainerRecords, ContainerTable, type Records, RecordTable } from './record-table';
import { ImageTable } from './image-table';
import { ListedTable } from './listed-table';
import type { DiskUsageRecord, EngineFacts, ForeignRecord, SandboxRecord } from './records';

/**
 * All that reads are answered from. Everybody can read records of containers and sandboxes; only the holder of a container can
 * change its record (`withContainer` in src/containers/life.ts).
 */
export interface Store {
  readonly sandboxes: Records<SandboxRecord>;
  readonly containers: ContainerRecords;
  /** What the first list told, until each container was inspected. */
  readonly listed: ListedTable;
  /** Containers that do not belong to a pod, for the images that they use. */
  readonly foreign: Records<ForeignRecord>;
  readonly images: ImageTable;
  /** Undefined until first measured. */
  diskUsage: DiskUsageRecord | undefined;
  /** Known before the facts, which an Engine may be slow to tell. */
  engineVersion: string | undefined;
  /** Undefined until the Engine has answered once; kept while it is down. */
  engine: EngineFacts | undefined;
  /** Whether `engine` is what it said to an earlier process. */
  isEngineRecalled: boolean;
  /** The node's pod CIDR as kubelet last told (UpdateRuntimeConfig), '' until then. */
  podCidr: string;
}

/** The store with tables that can be changed, for src/containers alone; all others get it as a `Store`. */
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
