import type { Duplex } from 'node:stream';
import type { AttachRequest, ClientStreams, ExecRequest, StreamingBackend } from '../../streaming/backend';
import type { NetnsDialers } from '../../streaming/port-forward/netns-dialer';
import { isReady } from '../../translate/sandbox-status';
import type { Services } from '../services';
import { connectToPod } from './connect-to-pod';
import { streamAttach } from './stream-attach';
import { streamExec } from './stream-exec';

/** What the streaming server does with its clients: the Engine's execs and attaches, the pods' ports. */
export class EngineStreaming implements StreamingBackend {
  constructor(
    private readonly services: Pick<Services, 'docker' | 'store' | 'settings' | 'logger'>,
    private readonly dialers: NetnsDialers,
  ) {
    // A helper would keep the namespace of a pod alive that has ended.
    services.store.sandboxes.subscribe((now, before) => {
      if (before !== undefined && (now === undefined || !isReady(now))) void dialers.release(before.id);
    });
  }

  exec(request: ExecRequest, client: ClientStreams): Promise<number> {
    return streamExec(this.services, request, client);
  }

  attach(request: AttachRequest, client: ClientStreams): Promise<void> {
    return streamAttach(this.services, request, client);
  }

  connect(sandboxId: string, port: number): Promise<Duplex> {
    return connectToPod(this.services, this.dialers, sandboxId, port);
  }
}
