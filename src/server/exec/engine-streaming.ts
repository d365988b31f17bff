import type { Duplex } from 'node:stream';
import type { AttachRequest, ClientStreams, ExecRequest, StreamingBackend } from '../../streaming/backend';
import type { NetnsDialers } from '../../streaming/port-forward/netns-dialer';
import { isReady } from '../../store/states';
import { Backlog } from './client-output';
import { connectToPod, PodConnections } from './pod-connections';
import type { StreamingParts } from './client-streams';
import { streamAttach } from './stream-attach';
import { streamExec } from './stream-exec';

/** Serves the clients of the streaming server: with the Engine's execs and attaches, and the ports of pods. */
export class EngineStreaming implements StreamingBackend {
  private readonly parts: StreamingParts;
  private readonly connections = new PodConnections();

  constructor(
    private readonly services: Omit<StreamingParts, 'backlog'>,
    private readonly dialers: NetnsDialers,
  ) {
    this.parts = { ...services, backlog: new Backlog() };
    // A helper or a connection would keep the namespace of an ended pod alive.
    services.store.sandboxes.subscribe((now, before) => {
      if (before === undefined || (now !== undefined && isReady(now))) return;
      void dialers.release(before.id);
      this.connections.close(before.id);
    });
  }

  exec(request: ExecRequest, client: ClientStreams): Promise<number> {
    return streamExec(this.parts, request, client);
  }

  attach(request: AttachRequest, client: ClientStreams): Promise<void> {
    return streamAttach(this.parts, request, client);
  }

  async connect(sandboxId: string, port: number): Promise<Duplex> {
    return this.connections.open(sandboxId, () => connectToPod(this.services, this.dialers, sandboxId, port));
  }
}
