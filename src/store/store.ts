import { ContainerTable } from './container-table';
import { ImageTable } from './image-table';
import { ListedTable } from './listed-table';
import { RecordTable } from './record-table';
import type { DiskUsageRecord, EngineFacts, ForeignRecord, SandboxRecord } from './records';

/**
 * All that reads are answered from. Two writers: the handler that caused a change, and the reconciler (sync/) for
 * what happens outside us.
 */
export class Store {
  readonly sandboxes = new RecordTable<SandboxRecord>();
  readonly containers = new ContainerTable();
  /** What the first list told, and no inspect yet. */
  readonly listed = new ListedTable();
  /** Containers that are no pods', for the images they need. */
  readonly foreign = new RecordTable<ForeignRecord>();
  readonly images = new ImageTable();
  /** Undefined until first measured. */
  diskUsage: DiskUsageRecord | undefined;
  /** Known before the facts, which an Engine may be slow to tell. */
  engineVersion: string | undefined;
  /** Undefined until the Engine has answered once; kept while it is down. */
  engine: EngineFacts | undefined;
  /** Whether that is what it said to an earlier process. */
  isEngineRecalled = false;
  /** The node's pod CIDR as kubelet last told (UpdateRuntimeConfig), '' until then. */
  podCidr = '';
}
