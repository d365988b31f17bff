import type { DockerClient } from '../docker/client';
import type { Logger } from '../lib/logger';
import type { Store } from '../store/store';
import type { ContainerSessions } from './container-sessions';
import type { ContainerLife } from './life';
import type { SpoolMode } from './spool-mode';
import type { Teardowns } from './teardowns';

/** What operations on containers work with: a part of what handlers have. */
export interface ContainerServices {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly life: ContainerLife;
  readonly sessions: ContainerSessions;
  readonly spoolMode: SpoolMode;
  readonly teardowns: Teardowns;
  readonly logger: Logger;
}
